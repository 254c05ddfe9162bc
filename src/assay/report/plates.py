"""Every figure of a study's report by name, as the page holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..analysis.robustness import Robustness
from ..analysis.scores import arm_scores
from ..store.records import StudyRecord
from .blocks import (
    FigureBlock,
    cost_figures,
    curve_figures,
    gallery_figures,
    interaction_figures,
    ranking_figure,
    score_figures,
    search_section,
)
from .inputs import Gallery, NetworkTable
from .robustness import robustness_section


def plates(
    study: StudyRecord,
    *,
    summaries: Mapping[str, NetworkTable],
    gallery: Gallery | None,
    robustness: Robustness | None = None,
) -> dict[str, FigureBlock]:
    """The figures that the report draws of a study's record, by name, in the report's order.

    Args:
        study: The study's record.
        summaries: Each arm's network by the arm's name.
        gallery: Counts of the data; ``None`` leaves their figure out.
        robustness: How the arms fare on corrupted images; ``None`` leaves its figures out.
    """
    blocks: list[FigureBlock] = []
    if any(arm.n for arm in arm_scores(study)):
        blocks += [*score_figures(study, "validation"), *interaction_figures(study)]
    blocks += _known([ranking_figure(study)])
    if any(arm.n for arm in arm_scores(study, split="test")):
        blocks += score_figures(study, "test")
    blocks += curve_figures(study)
    if study.search is not None:
        section = search_section(study)
        blocks += _known([section["optimism"], *section["figures"]])
    if robustness is not None:
        blocks += robustness_section(study, robustness)["figures"]
    blocks += cost_figures(study, summaries)
    blocks += gallery_figures(gallery) if gallery is not None else ()
    return {_name(block.id): block for block in blocks}


def _known(blocks: Iterable[FigureBlock | None]) -> list[FigureBlock]:
    return [block for block in blocks if block is not None]


def _name(id_: str) -> str:
    """A short name for what a reader asks for: the validation split is the usual one, "cost" is time."""
    if id_ == "cost":
        return "time"
    return id_ if id_.startswith("curves") else id_.removesuffix("-validation")
