"""A study's networks as C for microcontrollers: what each would cost, and one of them with all that belongs to it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, SpecError
from ..nets.fixed_point import CODINGS, CORES, Costs, costs_of, lower
from ..numerals import counted, percent
from ..store import RunRecord, StudyRecord
from .exports import CARD, c_name, calibration_images, facts_of, portable_of
from .model import Model
from .recorded import recorded_networks

if TYPE_CHECKING:
    from ..export import Program
    from ..nets import Summary

_JUDGED = 1000
_PER_LINE = 28

_EXAMPLE = """/* {about}

       gcc -std=c99 -O2 example.c -o example && ./example

   prints the logits that Assay's page shows, number for number. */

#include <stdio.h>
#include "{header}"

static const uint8_t image[MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS] = {{
    {pixels}
}};
static uint8_t arena[MODEL_ARENA];

int main(void) {{
    int16_t logits[MODEL_CLASSES];
    const int label = model_classify(image, arena, logits);
    for (int k = 0; k < MODEL_CLASSES; k++) printf("%6d  %s\\n", logits[k], model_labels[k]);
    printf("answer: %s\\n", model_labels[label]);
    return 0;
}}
"""


@dataclass(frozen=True)
class Candidate:
    """An arm of a study, as C.

    Args:
        arm: Its name.
        run: The run that would be exported: the arm's first finished seed, as `assay export` takes it.
        score: The arm's mean score on validation; ``None`` where there is none.
        num_seeds: How many seeds it is a mean of.
        parameters: Of the network.
        costs: By coding of weights; empty where there is no C code. A network that was trained in whole numbers has
            its own coding, whichever is asked for.
        is_bound: Whether bytes are the most that they can be: elu's table is known once weights are.
        reason: Why there is none.
    """

    arm: str
    run: RunRecord
    score: float | None
    num_seeds: int
    parameters: int
    costs: Mapping[str, Costs]
    is_bound: bool = False
    reason: str = ""


def candidates_of(record: StudyRecord) -> tuple[Candidate, ...]:
    """The arms that have a finished run, the best score first."""
    from ..analysis import arm_scores, best_arm
    from ..analysis.measured import measure_of

    networks, scaling = recorded_networks(record), record.design.data.scaling
    scores = {scores.arm: scores for scores in arm_scores(record)}
    candidates = []
    for arm in record.arms:
        run = next((run for run in record.runs_of(arm.name) if run.state == "finished"), None)
        if run is None:
            continue
        summary, known = networks.get(arm.name), scores[arm.name]
        costs: dict[str, Costs] = {}
        reason, parameters, is_bound = "its code is not at hand", 0, False
        if summary is not None:
            parameters = summary.parameters
            try:
                programs = {
                    coding: lower(summary, _own(summary, coding), is_shifted=scaling == "standard")
                    for coding in CODINGS
                }
                costs, reason = {coding: costs_of(graph) for coding, graph in programs.items()}, ""
                is_bound = any(getattr(one, "activation", "") == "elu" for one in programs["int8"].operations)
            except SpecError as error:
                reason = error.problems[0].what
        candidates.append(Candidate(arm.name, run, known.mean, known.n, parameters, costs, is_bound, reason))
    best, sign = None if record.sets else best_arm(record), -1 if measure_of(record).higher_is_better else 1

    def rank(one: Candidate) -> tuple[bool, bool, float]:
        return one.arm != best, one.score is None, 0.0 if one.score is None else sign * one.score

    return tuple(sorted(candidates, key=rank))


def program_of(model: Model, coding: str) -> Program:
    """A model in whole numbers, calibrated as ``assay export`` does it.

    One that was trained in whole numbers has those, whichever coding is asked for.

    Raises:
        SpecError: There is no such coding, or no C code for one of its layers.
        DataError: The data are gone, or have changed.
    """
    from ..export.fixed_point import quantize
    from ..nets.fixed_point import coding_of

    return quantize(portable_of(model), calibration_images(model), _own(model.summary, coding_of(coding).name))


def _own(summary: Summary, coding: str) -> str | None:
    """How weights are stored; ``None`` for those that were trained so, and for whole bytes."""
    return None if summary.quantization is not None or coding == "int8" else coding


@dataclass(frozen=True)
class Agreement:
    """How a program compares with its network on validation images.

    Args:
        num_images: How many.
        accuracy: The program's.
        accuracy_float: The network's.
        same: The share of equal answers.
    """

    num_images: int
    accuracy: float
    accuracy_float: float
    same: float


def agreement_of(model: Model, program: Program, most: int = _JUDGED) -> Agreement | None:
    """A program and its network on up to ``most`` validation images; ``None`` where there are none at hand."""
    try:
        images, labels = model.validation()
    except (DataError, SpecError):
        return None
    chosen, labels = images[:most], labels[:most]
    whole, small = model.once().probabilities(chosen).argmax(1), program.logits(chosen).argmax(1)
    accuracy, accuracy_float, same = (
        float(np.mean(is_equal)) for is_equal in (small == labels, whole == labels, small == whole)
    )
    return Agreement(len(labels), accuracy, accuracy_float, same)


def costs_of_program(program: Program) -> Costs:
    """A program's costs, with its own weights and tables."""
    costs = costs_of(program.graph, bit_lengths=program.bit_lengths)
    return replace(costs, bytes=program.num_bytes)


def bundle_of(
    model: Model,
    program: Program,
    coding: str,
    image: NDArray[Any] | None = None,
    agreement: Agreement | None = None,
) -> bytes:
    """A ZIP file with the header, a program that classifies one image with it, and the model card.

    Args:
        model: The network.
        program: The same in whole numbers.
        coding: How its weights are stored.
        image: What the example classifies [height, width, channels]; a blank one if ``None``.
        agreement: What the card says of its accuracy.
    """
    from ..export import Written, card_of
    from ..export.fixed_point import source_of

    title = f"{model.study.name}: {model.run.arm}, {model.run.label}"
    header = source_of(program, title).encode()
    name = c_name(_own(model.summary, coding))
    stored = program.stored(np.zeros((1, *model.shape), np.uint8) if image is None else image[None])
    what = "a blank image" if image is None else "the image that was on the board"
    example = _EXAMPLE.format(
        about=f"Classifies {what} with the network of {name}.", header=name, pixels=_pixels(stored[0])
    )
    files = {name: header, "example.c": example.encode()}
    written = Written(name, "c", hashlib.sha256(header).hexdigest(), len(header), _about(program, agreement))
    card = card_of(program.network, facts_of(model), [written])
    files[CARD] = card.encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in files.items():
            archive.writestr(zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _about(program: Program, judged: Agreement | None) -> str:
    costs = costs_of_program(program)
    times = ", ".join(f"{core.title} {costs.microseconds[name]:,.0f} us" for name, core in CORES.items())
    about = f"{costs.bytes:,} bytes of constants, an arena of {costs.ram:,} bytes; estimated {times}"
    if judged is None:
        return f"{about}."
    return (
        f"{about}; accuracy on {counted(judged.num_images, 'validation image')} {percent(judged.accuracy)}, "
        f"{percent(judged.accuracy_float)} in float32; {percent(judged.same)} of answers are the same."
    )


def _pixels(image: NDArray[np.uint8]) -> str:
    texts = [str(value) for value in image.reshape(-1).tolist()]
    lines = (", ".join(texts[start : start + _PER_LINE]) for start in range(0, len(texts), _PER_LINE))
    return ",\n    ".join(lines)
