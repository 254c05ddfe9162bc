"""A study's report, for each form that it can be written in."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SpecError
from ..spec import study_toml
from ..store import StudyRecord, output_folder
from .recorded import gallery_of, network_tables, parameters_of, recorded_networks, shared_images

if TYPE_CHECKING:
    from ..analysis import LearningCurves
    from ..report import Illustration, ReportForm


def write_study_report(
    record: StudyRecord,
    store: Path,
    path: str | Path | None,
    form: ReportForm,
    explanations: Sequence[Illustration] | None,
) -> Path:
    """``Result.report``, for a record whose look is written down."""
    from ..report import SUFFIXES, as_latex, as_markdown, write_notebook, write_pdf, write_report

    target = Path(path) if path is not None else output_folder(store, "reports") / f"{record.name}{SUFFIXES[form]}"
    if form == "notebook":
        return write_notebook(target, record, store)
    if form in ("markdown", "latex"):
        return write_report(target, (as_markdown if form == "markdown" else as_latex)(record, **_report_parts(record)))
    if explanations is None:
        from .explanations import illustrations

        explanations = illustrations(record, store)
    return (write_pdf if form == "pdf" else write_report)(target, report_html(record, explanations, store=store))


def report_html(record: StudyRecord, explanations: Sequence[Illustration] = (), *, store: Path | None = None) -> str:
    """The report of a study as one HTML text.

    Args:
        record: The study.
        explanations: Pictures of the best arm.
        store: The store's folder. If given, the report shows the results on corrupted images that the store holds.
    """
    from ..report import render
    from .robustness import corruption_picture, kept_robustness

    robustness = kept_robustness(record, store) if store is not None else None

    return render(
        record,
        **_report_parts(record),
        gallery=gallery_of(record),
        toml=study_toml(record.design),
        learning=_learning(record),
        explanations=explanations,
        robustness=robustness,
        corruptions=corruption_picture(record) if robustness is not None else None,
    )


def _learning(record: StudyRecord) -> LearningCurves | None:
    """What more images would bring; ``None`` where no curve can say."""
    from ..analysis import has_sizes, learning_curves

    if not has_sizes(record):
        return None
    with contextlib.suppress(SpecError):  # too few sizes or seeds so far
        return learning_curves(record, parameters=parameters_of(record))
    return None


def _report_parts(record: StudyRecord) -> dict[str, Any]:
    """What reports say beyond the record."""
    return {
        "summaries": network_tables(recorded_networks(record), record.design.data.scaling),
        "shared": shared_images(record),
        "version": version("assay"),
    }
