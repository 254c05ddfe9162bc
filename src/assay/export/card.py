"""The model card of an exported network: its architecture, training, measured accuracy and limits.

Source: Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..measures import PERCENT, Unit
from .portable import Portable

ALWAYS = "It answers with one of its classes whatever the picture shows: it has no way to say that it does not know."
LIMITS = (
    "Every figure here is of images from the same source as its training images. Pictures made in another way (another "
    "camera, another pen, another crop) are another matter: measure it on yours.",
    "Probabilities are a softmax's, not calibrated: see `assay predict --calibrate`.",
)


@dataclass(frozen=True)
class Evidence:
    """A measured value with its interval.

    Args:
        what: Whose, on what.
        value, low, high: In the measure's own scale, accuracies as fractions; ``None`` where no interval can be given.
        n: What it comes from, such as ``10,000 images``.
        source: Of the interval.
    """

    what: str
    value: float
    low: float | None
    high: float | None
    n: str
    source: str
    measure: str = "accuracy"
    unit: Unit = PERCENT


@dataclass(frozen=True)
class Facts:
    """What a store knows of a run, for its card.

    Args:
        title: The model's name.
        question: The study's.
        training: What trained it: pairs of a key and its value.
        data: The same of its data.
        evidence: What was measured.
        reading: How a picture becomes an input, as a sentence.
        picture_code: Python code that does so.
        limits: Beyond those of every network.
        answers: On what sets of classes and refusal rest, as sentences; empty where there are none.
        answer_code: Python code that makes them.
    """

    title: str
    question: str
    training: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    evidence: tuple[Evidence, ...]
    reading: str
    picture_code: str
    limits: tuple[str, ...] = ()
    answers: str = ""
    answer_code: str = ""


@dataclass(frozen=True)
class Written:
    """One exported file.

    Args:
        name: Its name in the folder.
        format: The format's name, as in ``assay export --format``.
        sha256: The SHA-256 of its content.
        num_bytes: Its size.
        about: How to use it, and how closely its predictions agree with the run's.
    """

    name: str
    format: str
    sha256: str
    num_bytes: int
    about: str = ""


def card_of(network: Portable, facts: Facts, files: Sequence[Written]) -> str:
    """The card as Markdown."""
    height, width, channels = network.shape
    pixel = "bytes, 0 to 255" if network.dtype == "uint8" else "float32, 0 to 1"
    colours = {1: "grey", 3: "red, green, blue"}.get(channels, f"{channels} channels")
    offset, factor = network.offset.tolist(), network.factor.tolist()
    scaled = f"(value - {_numbers(offset)}) x {_numbers(factor)}" if network.is_scaled else "as they are"
    base = network.summary.base
    if base is None:
        prepared = f"Scaling is inside the model: its first layer sees the values {scaled}. Do not scale them yourself."
    else:
        steps = "; ".join(base.preparation.steps)
        prepared = f"Its base's preparation is inside the model: {steps}. Do not resize or scale images yourself."
    lines = [
        f"# {facts.title}",
        "",
        f"An image classifier with {network.summary.parameters:,} parameters, made with Assay to answer:",
        f'"{facts.question}"',
        "",
        "## Input and output",
        "",
        f"- Input: the stored pixel values ({pixel}), batch x {height} x {width} x {channels} "
        f"(batch, height, width, channels; {colours}); any batch size.",
        f"- {prepared}",
        f"- Output: a probability for each of {len(network.classes)} classes, in this order: "
        + ", ".join(f"`{name}`" for name in network.classes)
        + ".",
        "",
        "## From a picture to an input",
        "",
        facts.reading,
        "",
        "```python",
        *facts.picture_code.splitlines(),
        "```",
        "",
        *_answers(facts),
        "## Files",
        "",
        "| file | bytes | SHA-256 |",
        "|---|---|---|",
        *(f"| `{file.name}` | {file.num_bytes:,} | `{file.sha256}` |" for file in files),
        "",
        *(f"- `{file.name}`: {file.about}" for file in files if file.about),
        "",
        "## Evidence",
        "",
        "| measure | of | value | 95 % interval | from | method |",
        "|---|---|---|---|---|---|",
        *(_row(evidence) for evidence in facts.evidence),
        "",
        "## Data",
        "",
        *_table(facts.data),
        "",
        "## Training",
        "",
        *_table(facts.training),
        "",
        "## Layers",
        "",
        "| layer | as written | output | parameters |",
        "|---|---|---|---|",
        *(
            f"| {row.name} | `{row.word}` | {' x '.join(map(str, row.output_shape))} | {row.parameters:,} |"
            for row in network.summary.layers
        ),
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in (*facts.limits, *([] if facts.answers else [ALWAYS]), *LIMITS)),
        "",
    ]
    return "\n".join(lines)


def _answers(facts: Facts) -> list[str]:
    if not facts.answers:
        return []
    return ["## Sets and refusal", "", facts.answers, "", "```python", *facts.answer_code.splitlines(), "```", ""]


def _numbers(values: list[float]) -> str:
    texts = [f"{value:.6g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else f"[{', '.join(texts)}] by channel"


def _row(evidence: Evidence) -> str:
    ends = (evidence.low, evidence.high)
    interval = "none" if None in ends else " to ".join(map(evidence.unit.value, ends))
    value = evidence.unit.value(evidence.value)
    return f"| {' | '.join((evidence.measure, evidence.what, value, interval, evidence.n, evidence.source))} |"


def _table(pairs: Sequence[tuple[str, Any]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {key} | {str(value).replace('|', chr(92) + '|')} |" for key, value in pairs)]
