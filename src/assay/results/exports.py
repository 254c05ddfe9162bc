"""Runs that leave the store: files of other formats, checked against ours, and a model card."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..errors import DataError, Problem, RunError, SpecError, nearest
from ..extras import has, needed
from ..numerals import counted, percent, points
from ..spec import Training, module_of
from ..stats import share_interval
from .answers import AnswerRequest, Answers, answers_of, plain_answers
from .model import Model, find_run, load_models
from .recorded import split_of_run

if TYPE_CHECKING:
    from ..export import Distance, Evidence, Facts, HubFacts, Portable, Written

FORMATS = {
    "keras": "Keras 3: model.keras",
    "onnx": "ONNX: model.onnx",
    "onnx-int8": "ONNX in 8 bits, calibrated on training images: model-int8.onnx",
    "onnx-int4": "ONNX with weights of 4 bits: model-int4.onnx",
    "litert": "LiteRT, which was TensorFlow Lite: model.tflite",
    "litert-int8": "the same in 8 bits, calibrated on training images: model-int8.tflite",
    "torch": "a PyTorch module that needs torch and safetensors alone: network.py, network.safetensors",
    "huggingface": "a folder for the Hugging Face hub: README.md (card with metadata), config.json, and as torch",
    "safetensors": "weights and a JSON spec: model.safetensors, model.json",
    "c": "a C header in fixed point, for microcontrollers: model.h",
    "c-int4": "the same with weights of 4 bits: model-int4.h",
    "c-int2": "the same with weights of 2 bits: model-int2.h",
    "c-ternary": "the same with weights of three levels, five in a byte: model-ternary.h",
}
CARD = "model-card.md"
ANSWERS = "answers.json"
_UNLIKE_TOLERANCE = 1e-3
_TOLERANCE = 1e-4
_CHECKED = 1000


@dataclass(frozen=True)
class Exported:
    """What an export wrote, as :meth:`assay.Result.export` returns it.

    Args:
        folder: The folder.
        files: The models, in the order of the requested formats.
        card: The model card.
    """

    folder: Path
    files: tuple[Written, ...]
    card: Path


def export_run(
    name: str,
    formats: Sequence[str],
    store: Path,
    folder: Path | None = None,
    *,
    request: AnswerRequest | None = None,
) -> Exported:
    """Write a finished run's network in other formats, with a model card.

    Every file that can be run is asked and compared with our own predictions before this returns.

    Args:
        name: The start of a run's id, or a study: then the first seed of its best arm.
        formats: Of ``FORMATS``.
        store: The store's folder.
        folder: Where to write; a folder named after study and run, in the current one, if ``None``.
        request: Sets of classes and refusal, whose rules are written as ``answers.json``; ``model.onnx`` gets them as
            metadata, and the output ``unlike``.

    Raises:
        SpecError: A format is not known, its library is not installed, or it cannot hold this network.
        NoSuchRun: There is no such run.
        DataError: The run's weights are missing or damaged, or the folder cannot be written.
        RunError: A file's predictions are not ours. It is not kept.
        DiskFull: There is no space left.
    """
    for format in formats:
        if format not in FORMATS:
            raise SpecError(Problem(f'there is no format "{format}"', nearest(format, list(FORMATS))))
        purpose, *packages = _LIBRARIES.get(format.partition("-")[0], ("",))
        for package in packages:  # before a file of another format is written
            if not has(package):
                needed(package, purpose)
    record, run = find_run(name, store)
    (model,) = load_models(record, [run], store)
    network = portable_of(model)
    _refuse_rounded(network, formats)
    answers = None
    if request is not None and not request.is_plain:
        if request.refuse is not None and ("onnx" not in formats or network.own is not None):
            what = "refusal needs the network's inner features, which only model.onnx of layers in study words puts out"
            fix = "leave --refuse out" if network.own is not None else "add --format onnx, or leave --refuse out"
            raise SpecError(Problem(what, fix))
        if model.predictor.views is not None:
            what = "sets and refusal are calibrated on the mean over several views, and a file looks at an image once"
            raise SpecError(Problem(what, "export without them, or a run without [training] evaluation"))
        answers = answers_of(model, request, is_best_arm=name == record.name)
    target = folder if folder is not None else Path(f"{record.name}-{run.id[:8]}")
    images, what = _images_to_check(model)
    expected = model.once().probabilities(images)
    title = f"{record.name}: {run.arm}, {run.label}"
    check = _Check(model, images, expected, what, answers)
    files = [
        written for format in dict.fromkeys(formats) for written in _WRITERS[format](network, target, title, check)
    ]
    from ..export import card_of, hub

    files = list({file.name: file for file in files}.values())  # the hub's folder holds torch's files
    is_hub = "huggingface" in formats
    card, facts = target / (hub.CARD if is_hub else CARD), facts_of(model)
    if answers is not None:
        files.append(_answers_file(answers, model, target))
        facts = replace(facts, answers=answers.note, answer_code=_answer_code(answers))
    text = card_of(network, facts, files)
    if is_hub:
        text = hub.metadata_block(_hub_facts(model, title)) + text + hub.USE
    disk.write(card, text.encode())
    return Exported(target, tuple(files), card)


def _hub_facts(model: Model, title: str) -> HubFacts:
    from ..analysis.scores import score_of
    from ..export import HubFacts, dataset_on_hub

    record, data = model.study, model.study.design.data
    scores = {} if model.is_retrained else {"validation": score_of(model.run, "validation")}
    scores["test"] = model.run.test_accuracy
    known = {split: score for split, score in scores.items() if score is not None}
    dataset = dataset_on_hub(data.name, data.path) if data.content is None else ""
    return HubFacts(title, str(record.data.get("title") or data.name), dataset, known)


def _refuse_rounded(network: Portable, formats: Sequence[str]) -> None:
    """Refuse formats that would compute otherwise than a network that was trained in whole numbers.

    Raises:
        SpecError: One of them is asked for.
    """
    others = [format for format in formats if format != "c"]
    if network.summary.quantization is not None and others:
        what = f"the run was trained in whole numbers, which {' and '.join(others)} would not compute with"
        raise SpecError(Problem(what, 'export it as "c", whose program has its weights, scales and answers'))


def calibration_images(model: Model) -> NDArray[Any]:
    """Some of the images that a run was trained on: they say how large activations become.

    Raises:
        DataError: The data are gone, or have changed.
    """
    from ..export import CALIBRATION_IMAGES

    training = model.dataset.training()
    own = split_of_run(model.study, model.run, training).training
    chosen = np.random.default_rng(0).choice(own, min(len(own), CALIBRATION_IMAGES), replace=False)
    return np.ascontiguousarray(training.images[np.sort(chosen)])


def c_name(coding: str | None) -> str:
    """The name of a header whose weights are stored so; as they were trained, or in whole bytes, if ``None``."""
    return "model.h" if coding is None else f"model-{coding}.h"


def portable_of(model: Model) -> Portable:
    """A model as plain arrays."""
    from ..export import Portable

    return Portable.of(model.predictor, model.arm.layers, model.classes, model.study.data["dtype"])


@dataclass(frozen=True, eq=False)
class _Check:
    """Images and our predictions of them."""

    model: Model
    images: NDArray[Any]
    expected: NDArray[np.float32]
    what: str
    answers: Answers | None = None

    def compare(self, answer: Callable[[NDArray[Any]], NDArray[np.float32]], path: Path) -> str:
        """How far a file's predictions are from ours, as a sentence.

        Raises:
            RunError: Farther than float32 explains; the file is removed.
        """
        difference = float(np.abs(answer(self.images) - self.expected).max())
        if not difference <= _TOLERANCE:
            path.unlink(missing_ok=True)
            what = f"{path.name} answers otherwise than the run: a probability differs by {difference:.2g}"
            raise RunError(what, "export another format, and report this")
        return f"largest difference from our predictions {difference:.1e}, on {len(self.images):,} {self.what}"

    def loss(self, answer: Callable[[NDArray[Any]], NDArray[np.float32]]) -> str:
        """What 8 bits cost in accuracy on all validation images, as a clause; empty where there are none."""
        try:
            images, labels = self.model.validation()
        except (DataError, SpecError):
            return "its loss of accuracy is not measured: the run has no validation images at hand"
        whole = self.model.once().probabilities(images).argmax(1)
        small = answer(np.ascontiguousarray(images)).argmax(1)
        before, after, same = (
            float(np.mean(is_equal)) for is_equal in (whole == labels, small == labels, whole == small)
        )
        form = "in float32" if self.model.summary.quantization is None else "as it was trained"
        return (
            f"accuracy on {counted(len(labels), 'validation image')} {percent(after)}, {percent(before)} {form} "
            f"({points(after - before)} points); {percent(same)} of answers are the same"
        )


def _images_to_check(model: Model) -> tuple[NDArray[Any], str]:
    try:
        images, _ = model.validation()
        return np.ascontiguousarray(images[:_CHECKED]), "validation images"
    except (DataError, SpecError):
        values = np.random.default_rng(0).integers(0, 256, (_CHECKED // 10, *model.shape), dtype=np.uint8)
        is_bytes = model.study.data["dtype"] == "uint8"
        return values if is_bytes else (values / 255).astype(np.float32), "random images"


def _written(path: Path, form: str, about: str = "") -> Written:
    from ..export import Written

    with disk.disk_errors(path, "read"):
        content = path.read_bytes()
    return Written(path.name, form, hashlib.sha256(content).hexdigest(), len(content), about)


def _keras(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import keras_answer, write_keras

    path = folder / "model.keras"
    write_keras(network, path)
    agreement = check.compare(keras_answer(path), path)
    use = "`keras.saving.load_model(...)`, any backend; class names in its member `assay.json`"
    return [_written(path, "keras", f"{use}; {agreement}.")]


def _onnx(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import onnx_answer, write_onnx

    path = folder / "model.onnx"
    answers = check.answers
    about = {"answers": json.dumps(plain_answers(answers, network.classes))} if answers is not None else {}
    write_onnx(network, path, distance=_distance(answers), about=about)
    agreement = check.compare(onnx_answer(path), path)
    unlike = answers.unlike(check.images) if answers is not None else None
    if unlike is not None:
        difference = float(np.abs(onnx_answer(path, "unlike")(check.images) / unlike - 1).max())
        if not difference <= _UNLIKE_TOLERANCE:
            path.unlink(missing_ok=True)
            raise RunError(f"{path.name} finds pictures otherwise unlike: by a factor of {1 + difference:.3g}")
    use = f"input `images` ({network.dtype}), output `probabilities`; class names in its metadata under `classes`"
    return [_written(path, "onnx", f"{use}; {agreement}.")]


def _distance(answers: Answers | None) -> Distance | None:
    from ..export import Distance

    if answers is None or not answers.refusals:
        return None
    rule = answers.refusals[0][1]
    centre, whitening, means = (values.astype(np.float32) for values in (rule.centre, rule.whitening, rule.means))
    return Distance(rule.layers, rule.channels, centre, whitening, means, rule.threshold)


def _answers_file(answers: Answers, model: Model, folder: Path) -> Written:
    path = folder / ANSWERS
    content = json.dumps({**plain_answers(answers, model.classes), "run": model.run.id}, indent=2) + "\n"
    disk.write(path, content.encode())
    return _written(path, "answers", "what sets of classes and refusal need; the code below uses it.")


def _answer_code(answers: Answers) -> str:
    from ..export import answer_code

    return answer_code(has_sets=answers.sets is not None, has_refusal=bool(answers.refusals))


def _onnx_int8(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import onnx_answer, write_onnx, write_onnx_int8

    path, images = folder / "model-int8.onnx", calibration_images(check.model)
    write_onnx_int8(network, path, images)
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / "model.onnx"
        write_onnx(network, plain)
        sizes = f"{path.stat().st_size:,} bytes, {plain.stat().st_size:,} in float32"
    note = f"8-bit weights and activations, calibrated on {len(images):,} training images; {sizes}"
    use = "input and output as `model.onnx`"
    return [_written(path, "onnx-int8", f"{use}; {note}; {check.loss(onnx_answer(path))}.")]


def _onnx_int4(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import onnx_answer, write_onnx_int4

    path = folder / "model-int4.onnx"
    write_onnx_int4(network, path)
    use = "input and output as `model.onnx`, opset 21; weights of 4 bits, computed with in float32"
    return [_written(path, "onnx-int4", f"{use}; {check.loss(onnx_answer(path))}.")]


def _litert(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import litert_answer, write_litert

    path = folder / "model.tflite"
    write_litert(network, path)
    agreement = check.compare(litert_answer(path), path)
    use = f"input `images` ({network.dtype}), output `probabilities`; class names in its metadata under `classes`"
    return [_written(path, "litert", f"{use}; {agreement}.")]


def _litert_int8(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import litert_answer, write_litert_int8

    path, images = folder / "model-int8.tflite", calibration_images(check.model)
    write_litert_int8(network, path, images)
    note = f"8-bit weights and activations, calibrated on {len(images):,} training images"
    loss = check.loss(litert_answer(path))
    return [_written(path, "litert-int8", f"input and output as `model.tflite`; {note}; {loss}.")]


def _c(network: Portable, folder: Path, title: str, check: _Check, coding: str | None = None) -> list[Written]:
    from ..export import write_c
    from ..nets.fixed_point import CORES, costs_of

    path = folder / c_name(coding)
    program = write_c(network, path, calibration_images(check.model), title, coding)
    costs = costs_of(program.graph, bit_lengths=program.bit_lengths)
    times = ", ".join(
        f"{core.title} {costs.microseconds[name] / 1000:,.3g} ms at {core.megahertz:g} MHz"
        for name, core in CORES.items()
    )
    use = (
        f"`model_classify`, whole numbers alone: {program.num_bytes:,} bytes of constants, an arena of "
        f"{program.arena.size:,} bytes, {costs.multiply_adds:,} multiply-adds; estimated {times}"
    )
    name = "c" if coding is None else f"c-{coding}"
    return [_written(path, name, f"{use}; {check.loss(program.logits)}.")]


def _torch(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import torch_answer, write_own_torch, write_torch

    path = folder / "network.py"
    code: tuple[Path, ...] = ()
    if network.own is None:
        write_torch(network, path, title)
    else:
        code = write_own_torch(network, path, title)
    agreement = check.compare(torch_answer(path), path)
    use = "`from network import CLASSES, load`; its weights are `network.safetensors`"
    use += ", its code is in `code`" if code else ""
    files = [_written(path, "torch", f"{use}; {agreement}."), _written(path.with_suffix(".safetensors"), "torch")]
    return files + [replace(_written(file, "torch"), name=file.relative_to(folder).as_posix()) for file in code]


def _huggingface(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import config_of, hub

    files = _torch(network, folder, title, check)
    disk.write(folder / hub.CONFIG, config_of(network))
    about = "classes, size and channels, for programs; `README.md` is the card that the hub shows"
    return [*files, _written(folder / hub.CONFIG, "huggingface", f"{about}.")]


def _safetensors(network: Portable, folder: Path, title: str, check: _Check) -> list[Written]:
    from ..export import write_safetensors

    path = folder / "model.safetensors"
    write_safetensors(network, path)
    use = "weights by layer; `model.json` says layers, scaling, classes"
    return [_written(path, "safetensors", f"{use}."), _written(path.with_suffix(".json"), "safetensors")]


# What writes and checks a family of formats: no file is left that nothing has checked.
_LIBRARIES = {
    "keras": ("Keras files", "keras"),
    "onnx": ("ONNX files", "onnx", "onnxruntime"),
    "litert": ("LiteRT files", "ai_edge_litert"),
}
_WRITERS: dict[str, Callable[[Portable, Path, str, _Check], list[Written]]] = {
    "keras": _keras,
    "onnx": _onnx,
    "onnx-int8": _onnx_int8,
    "onnx-int4": _onnx_int4,
    "litert": _litert,
    "litert-int8": _litert_int8,
    "torch": _torch,
    "huggingface": _huggingface,
    "safetensors": _safetensors,
    "c": _c,
    **{f"c-{coding}": partial(_c, coding=coding) for coding in ("int4", "int2", "ternary")},
}


def facts_of(model: Model) -> Facts:
    """What the store knows of a run, for its card."""
    from ..analysis import looks_at_test
    from ..analysis.scores import LEAKY, counted_epoch
    from ..export import Facts, picture_code

    record, run, data = model.study, model.run, model.study.data
    spec, training = record.design.data.learning_from(model.arm.images), model.arm.training
    base = model.summary.base
    versions = run.environment.get("versions", {})
    limits = [LEAKY] if record.is_leaky else []
    if model.is_retrained:
        limits.append(f"It was trained on {record.retrained_on(run.arm)} together: only test images can judge it.")
    if not record.looks:
        limits.append("The test split is sealed: nothing here was measured on it.")
    else:
        limits.append(f"Looks at the test split so far: {looks_at_test(record)}; see `assay reveal`.")
    if training.evaluation is not None:
        views = training.evaluation.num_views
        limits.append(
            f"Accuracy here is that of the mean over {views} views of an image. Files look at it once: measure."
        )
    seconds = f"{run.seconds:.1f} s" if run.seconds is not None else "not recorded"
    training_facts = (
        ("arm", run.arm),
        *((("base", base.text().removeprefix("Base: ")),) if base else ()),
        *(
            (("base's weights", f"SHA-256 {content}"),)
            if (content := model.arm.base and model.arm.base.content)
            else ()
        ),
        *((("own code", f"{call.file}, SHA-256 {call.source}"),) if (call := module_of(model.arm.layers)) else ()),
        *(
            (("ensemble", f"{training.ensemble} networks, whose mean probability is the answer"),)
            if training.ensemble is not None
            else ()
        ),
        ("run", f"{run.id} ({run.label})"),
        ("epochs", f"{len(run.epochs)}, weights {counted_epoch(record)}"),
        ("batch size", str(training.batch_size)),
        ("optimizer", _listed(training.optimizer.model_dump(mode="json", exclude_none=True))),
        *_set_otherwise(training),
        ("training time", seconds),
        ("weights", f"SHA-256 {run.weights_sha256}"),
        ("versions", _listed(versions)),
        ("exported by", f"Assay {version('assay')}"),
    )
    data_facts = (
        ("data set", str(data["title"])),
        ("content", f"SHA-256 {data['content']}"),
        ("images", f"{data['num_training']:,} for training and validation, {data['num_test']:,} for the test"),
        ("validation", str(spec.model_dump(mode="json")["validation"])),
        *((("learned from", spec.training),) if spec.training else ()),
        ("scaling", spec.scaling if base is None else "the base's own, see above"),
    )
    title = f"{record.name}: {run.arm}, {run.label}"
    reader = model.input_reader()
    code = picture_code(reader.reading, reader.dtype)
    evidence = _evidence(model)
    return Facts(title, record.question, training_facts, data_facts, evidence, reader.description, code, tuple(limits))


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _evidence(model: Model) -> tuple[Evidence, ...]:
    from ..analysis.image_spread import claim_of
    from ..analysis.levels import levels
    from ..analysis.measured import measure_of, seen_by
    from ..analysis.scores import Split, is_epoch_chosen_by_score, score_of
    from ..export import Evidence
    from ..measures import ACCURACY

    record, run, evidence = model.study, model.run, []
    note = ", which also chose its epoch" if is_epoch_chosen_by_score(record) else ""
    accuracy = None if model.is_retrained else score_of(run, "validation")
    if accuracy is not None:
        try:
            count = len(model.validation()[1])
        except (DataError, SpecError):
            count = 0
        low, high = _wilson(accuracy, count)
        of = counted(count, "image") if count else "images that are not at hand"
        evidence.append(Evidence(f"this run, validation images{note}", accuracy, low, high, of, "Wilson (1927)"))
    if run.test_accuracy is not None:
        count = record.data["num_test"]
        low, high = _wilson(run.test_accuracy, count)
        evidence.append(
            Evidence("this run, test images", run.test_accuracy, low, high, counted(count, "image"), "Wilson (1927)")
        )
    seen = dict.fromkeys((ACCURACY.name, measure_of(record).name))  # accuracy, and what the study goes by
    splits: tuple[Split, ...] = ("validation", "test") if record.columns.has_test else ("validation",)
    for split, metric in itertools.product(splits, seen):
        by_metric = seen_by(record, metric)
        try:
            level = next((one for one in levels(by_metric, split) if one.arm == run.arm), None)
        except DataError:  # of runs whose predictions were not kept, or images that cannot have it
            continue
        if level is None:
            continue
        measure, source = measure_of(by_metric), f"over seeds, for {claim_of(by_metric)}"
        evidence.append(
            Evidence(
                f"the mean of its arm, {split} images", level.mean, level.low, level.high, counted(level.n, "seed"),
                source, measure.label, measure.unit,
            )
        )  # fmt: skip
    return tuple(evidence)


def _set_otherwise(training: Training) -> list[tuple[str, str]]:
    """Settings of training that are not as they are unless given, beside those that the card lists anyway."""
    listed = {"epochs", "batch_size", "optimizer", "precision"}
    given = training.model_dump(mode="json", exclude_none=True, exclude_defaults=True, exclude=listed)
    return [
        (name.replace("_", " "), _listed(value) if isinstance(value, dict) else str(value))
        for name, value in given.items()
    ]


def _wilson(share: float, count: int) -> tuple[float | None, float | None]:
    if not count:
        return None, None
    interval = share_interval(round(share * count), count)
    return interval.low, interval.high
