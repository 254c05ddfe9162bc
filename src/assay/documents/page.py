"""The reproduction's page: published figures beside ours, and a verdict on each claim."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.scores import accuracy_interval
from ..measures import PERCENT
from ..numerals import counted, percent, seconds, significant, whole
from ..report.blocks import FigureBlock, figure_block
from ..report.html import environment
from ..report.tables import Cell, Column, Table, flat, machine_facts
from ..stats import prediction_interval
from ..store import RunRecord
from .claims import ClaimVerdict
from .published import System


@dataclass(frozen=True)
class Row:
    """A published system and the runs of it in the store.

    Args:
        system: The system and its published figures.
        parameters: Parameters of the network, as Keras counts them; ``None`` if it cannot be built on this machine.
        scores: Accuracies by seed, on the split that the published figure is of.
        losses: The losses of the same runs.
        runs: The runs.
        hits: For each seed, which of its images the run classifies correctly; empty where that is not known.
        images: Which images these are, as indices; empty for the test images, which all seeds share.
    """

    system: System
    parameters: int | None = None
    scores: dict[int, float] = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    runs: tuple[RunRecord, ...] = ()
    hits: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict, compare=False, repr=False)
    images: Mapping[int, NDArray[np.int64]] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class SideBySide:
    """Published systems beside the runs of them, with the verdicts on the claims."""

    rows: tuple[Row, ...]
    verdicts: tuple[ClaimVerdict, ...]
    is_as_published: bool


TITLES = {
    "A": "Document A: a grid of kernels and filters, dropout, a frozen VGG16 (MNIST)",
    "B": "Document B: widths, kernels, pooling and dense layers (MNIST)",
    "C": "Document C: regularizing one and two convolutions (Fashion-MNIST)",
    "D": "Document D: a ladder of networks on a harder MNIST, from tables",
    "E": "Document E: the best network within 6,000 parameters (MNIST)",
}
PROPER = {
    "A": "The document chose and scored on the test images, every epoch. Here a tenth of the training images, drawn "
    "anew for each seed, is for choices, and the test images are looked at once.",
    "B": "The document scored on the test images once, after its choices were made on them run by run. Here a tenth of "
    "the training images is for choices, and the test images are looked at once.",
    "C": "The document fed raw bytes, 0 to 255. Here they are scaled to [0, 1]; 42,000 images train and 18,000 of the "
    "60,000 are for choices. Its last step, retraining the chosen networks on all of them, is scored on the test "
    "images.",
    "D": "The document's data are not to be had. These are 12,000 MNIST digits on uniform random noise, from a table "
    "of the document's form; its first 80 % train and its last 20 % are for choices, as the document has it.",
    "E": "As the document has it: the last 20 % of the training images are for choices, the test images are looked at "
    "once.",
}  # fmt: skip
LEAKY = {
    "A": "Leaky: the test images are the validation images, as published.",
    "B": "Leaky: the test images are the validation images, as published.",
    "C": "Raw inputs: bytes 0 to 255 are fed as they are, as published.",
}


def verdict_sentence(judged: ClaimVerdict) -> str:
    """A claim and what is to be said of it, as one line of text."""
    return f'"{judged.claim.text}": {judged.verdict}: {judged.sentence}.'


def spread(scores: Sequence[float]) -> tuple[float, float] | None:
    """Where one more run would lie, with 95 % confidence (``stats.prediction_interval``); ``None`` below two runs."""
    if len(scores) < 2:
        return None
    interval = prediction_interval(scores)
    return max(interval.low, 0.0), min(interval.high, 1.0)


def is_within(system: System, scores: Sequence[float]) -> bool | None:
    """Whether the published accuracy lies where one more of our runs would."""
    room = spread(scores)
    # The figures have four decimals, or two of a percentage.
    return None if room is None else room[0] - 5e-5 <= system.accuracy <= room[1] + 5e-5


def system_cells(row: Row) -> tuple[str, str, str, str, str, str]:
    """A system in a narrow table: name, parameters, published accuracy, ours, n, whether within our spread."""
    scores = list(row.scores.values())
    inside = is_within(row.system, scores)
    within = "waits" if row.system.waits else "–" if inside is None else "yes" if inside else "no"
    if inside is False:
        within += f", {_side(row.system, scores)}"
    return (
        row.system.key, whole(row.system.parameters if row.parameters is None else row.parameters),
        percent(row.system.accuracy), _ours(scores), str(len(scores)) if scores else "–", within,
    )  # fmt: skip


def _side(system: System, scores: Sequence[float]) -> str:
    return "ours is higher" if statistics.fmean(scores) > system.accuracy else "ours is lower"


def _ours(scores: Sequence[float]) -> str:
    if not scores:
        return "–"
    if len(scores) < 2:
        return percent(scores[0])
    interval = accuracy_interval(scores)
    unit = PERCENT.within(interval.low, interval.high)
    return f"{unit.number(interval.mean)} {unit.interval(interval.low, interval.high)}"


_COLUMNS = (
    "system", "parameters", "published parameters", "published accuracy", "ours, mean [95 % interval], %", "n",
    "published within our spread", "published loss", "our loss", "published time", "our time a run", "scored on",
)  # fmt: skip


def _full_cells(row: Row, *, is_as_published: bool) -> tuple[str, ...]:
    system = row.system
    name, parameters, accuracy, ours, n, within = system_cells(row)
    times = [run.seconds for run in row.runs if run.state == "finished" and run.seconds is not None]
    split = "test, as validation" if is_as_published and system.document in "AB" else system.split
    return (
        name, "–" if row.parameters is None else parameters, whole(system.parameters), accuracy, ours, n, within,
        significant(system.loss), significant(statistics.fmean(row.losses)) if row.losses else "–",
        seconds(None if system.minutes is None else 60 * system.minutes),
        seconds(statistics.fmean(times)) if times else "–", split,
    )  # fmt: skip


def _failed(rows: Sequence[Row]) -> tuple[str, ...]:
    """Runs that did not finish, arm by arm, so that none is dropped silently."""
    lines = []
    for row in rows:
        states = [run.state for run in row.runs]
        for state in sorted({s for s in states if s not in ("finished", "queued", "running", "paused")}):
            lines.append(f"{row.system.key}: {states.count(state)} of {counted(len(states), 'run')} {state}.")
        if waiting := sum(s in ("queued", "running", "paused") for s in states):
            lines.append(f"{row.system.key}: {waiting} of {counted(len(states), 'run')} still to be done.")
    return tuple(lines)


def _documents(comparison: SideBySide) -> list[str]:
    return list(dict.fromkeys(row.system.document for row in comparison.rows))


def _runs(comparison: SideBySide) -> list[RunRecord]:
    """Every run once: two systems may be one network."""
    return list({run.id: run for row in comparison.rows for run in row.runs}.values())


def _machines(comparison: SideBySide) -> tuple[str, ...]:
    """The machines and versions that trained the runs, each once."""
    texts = (
        ", ".join(f"{name} {text}" for name, text in flat(machine_facts(run.environment))) for run in _runs(comparison)
    )
    return tuple(dict.fromkeys(text for text in texts if text))


def markdown(comparison: SideBySide) -> str:
    """The page in Markdown."""
    heading = "Documents A to E, as published" if comparison.is_as_published else "Documents A to E, reproduced"
    lines = [f"# {heading}", "", *_preface(comparison), ""]
    for document in _documents(comparison):
        rows = [row for row in comparison.rows if row.system.document == document]
        lines += [f"## {TITLES[document]}", ""]
        if comparison.is_as_published and document in LEAKY:
            lines += [f"**{LEAKY[document]}**", ""]
        else:
            lines += [PROPER[document], ""]
        verdicts = [judged for judged in comparison.verdicts if judged.claim.document == document]
        if verdicts:
            lines += ["| the document's claim | verdict | effect |", "|---|---|---|"]
            lines += [f"| {f.claim.text} | **{f.verdict}** | {f.sentence} |" for f in verdicts] + [""]
        lines += [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
        lines += [f"| {' | '.join(_full_cells(row, is_as_published=comparison.is_as_published))} |" for row in rows] + [
            ""
        ]
        lines += [f"- {sentence}" for sentence in (*_failed(rows), *_notes(rows))] + [""]
    lines += ["## Machine and versions", "", *(f"- {text}" for text in _machines(comparison)), ""]
    return "\n".join(lines)


def _preface(comparison: SideBySide) -> list[str]:
    times = [run.seconds for run in _runs(comparison) if run.seconds is not None]
    return [
        "Each system that five notebooks published beside our runs of it. A document ran each network once; an "
        "interval here is that of a mean over seeds, at 95 %, and covers seed-to-seed variation only. A published "
        "figure lies within our spread if one more run of ours would land there with 95 % confidence (a prediction "
        "interval). Verdicts compare runs paired by seed and speak of new images (what these images alone "
        "would say stands beside where it differs), adjusted after Holm over the document's comparisons; fewer "
        "than 6 pairs decide nothing. A network overfits where `assay diagnose` says so of most of its runs, with 95 % "
        "confidence (docs/reference/diagnoses.md). Pages written before that rule took a gap of half a "
        "point between training and validation accuracy for it, so a verdict may differ from theirs.",
        "",
        f"Assay {version('assay')}; {counted(len(times), 'run')}, {seconds(sum(times))} of training in all.",
    ]


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(
        f"{row.system.key}: {text}."
        for row in rows
        for text in (row.system.waits and f"not run: it waits for {row.system.waits}", row.system.note)
        if text
    )


def html(comparison: SideBySide) -> str:
    """The page as one HTML file that loads nothing."""
    from plotly.offline import get_plotlyjs

    return _rendered("reproduction.html", comparison, plotly_js=get_plotlyjs())


def fragment(comparison: SideBySide) -> str:
    """Claims and tables for a notebook's cell: no script, no figures."""
    return _rendered("reproduction_fragment.html", comparison)


def _rendered(template: str, comparison: SideBySide, **more: Any) -> str:
    sections = [_section(comparison, document) for document in _documents(comparison)]
    return (
        environment("assay.documents")
        .get_template(template)
        .render(
            sections=sections, is_as_published=comparison.is_as_published,
            preface=[p for p in _preface(comparison) if p],
            machines=_machines(comparison), version=version("assay"), **more,
        )
    )  # fmt: skip


def _section(comparison: SideBySide, document: str) -> dict[str, Any]:
    rows = [row for row in comparison.rows if row.system.document == document]
    numbers = {"system", "published within our spread", "scored on"}
    columns = tuple(Column(title[0].upper() + title[1:], title not in numbers) for title in _COLUMNS)
    cells = tuple(
        tuple(Cell(text) for text in _full_cells(row, is_as_published=comparison.is_as_published)) for row in rows
    )
    leaky = LEAKY.get(document, "") if comparison.is_as_published else ""
    return {
        "id": document,
        "title": TITLES[document],
        "protocol": "" if leaky else PROPER[document],
        "leaky": leaky,
        "verdicts": [judged for judged in comparison.verdicts if judged.claim.document == document],
        "table": Table(f"Systems of document {document}", columns, cells),
        "figures": [block for row in rows if (block := _curves(row)) is not None],
        "notes": (*_failed(rows), *_notes(rows)),
    }


def _curves(row: Row) -> FigureBlock | None:
    from ..report.figures import published_curves

    if not row.system.curve_val_accuracy or not any(run.epochs for run in row.runs):
        return None
    key = row.system.key
    ours = f"{counted(len(row.runs), 'run')} of ours" + (" with their mean" if len(row.runs) > 1 else "")
    described = f"Accuracy after each epoch of {key}: published, and {ours}."
    return figure_block(f"curve-{key}", published_curves(row.runs, row.system.curve_val_accuracy), key, described)
