"""Figure blocks of the report's page: each figure with its title, description and note."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..analysis.answer import answer
from ..analysis.contrasts import Contrast, blocks, factor_effects, ranking_of
from ..analysis.measured import measure_of
from ..analysis.scores import Split, arm_scores, ordered_arms
from ..extras import has, remedy
from ..numerals import counted, percent, whole
from ..store.records import StudyRecord
from .inputs import Gallery, Illustration, NetworkTable

_MOST_LEADING = 8  # arms that the first screen has room for


@dataclass(frozen=True)
class FigureBlock:
    """A figure in the page: its JSON, its title, a description in words, and a note on how to read it.

    ``group`` names the switches that control a figure.
    """

    id: str
    json: str
    title: str
    description: str
    note: str = ""
    group: str = ""
    height: int = 0


@dataclass(frozen=True)
class PictureBlock:
    """A PNG in the page, in base64, with its title and caption, the same for the dark and for phones, and its width, if
    known."""

    png: str
    title: str
    note: str
    dark: str = ""
    width: int = 0
    narrow: str = ""
    narrow_dark: str = ""


def lead_figure(study: StudyRecord) -> FigureBlock | None:
    """The figure of the first screen: the interaction of crossed factors, or else every run's score.

    Of many arms, those with the highest means.
    """
    from .figures import score_strip

    if not any(arm.n for arm in arm_scores(study)):
        return None
    if answer(study).effects and (figures := interaction_figures(study)):
        return figures[0]
    if len(study.arms) <= _MOST_LEADING or study.sets:  # means on different data sets have no order
        return score_figures(study, "validation")[0]
    sign = 1 if measure_of(study).higher_is_better else -1
    scores = arm_scores(study)
    by_mean = sorted(scores, key=lambda arm: -math.inf if arm.mean is None else sign * arm.mean, reverse=True)
    names = [arm.arm for arm in by_mean[:_MOST_LEADING]]
    return figure_block(
        "lead",
        score_strip(study, only=names),
        f"The {len(names)} arms with the best means, of {len(study.arms)}",
        f"Validation {measure_of(study).label}, one dot per run: {', '.join(names)}.",
        "A dot is a seed, the stroke the mean, the bar its 95 % interval. The best means owe a part to "
        "luck; all arms stand below.",
    )


def score_figures(study: StudyRecord, split: Split) -> tuple[FigureBlock, ...]:
    from .figures import difference_strip, score_strip

    result = answer(study, split=split)
    folds = ", the mean of its folds" if any(run.fold for run in study.runs) else ""
    pairs = " A thin line joins the two runs of a seed." if len(study.arms) == 2 else ""
    blocks = [
        figure_block(
            f"scores-{split}",
            score_strip(study, split=split),
            f"{split.capitalize()} {measure_of(study).label} of every {'seed' if folds else 'run'}",
            f"One dot per {'seed' if folds else 'run'}, one row per arm. {result.headline}.",
            f"One dot is one seed{folds}. The stroke is the mean, the bar its 95 % interval.{pairs}",
        )
    ]
    side = "Right" if measure_of(study).higher_is_better else "Left"
    if any(contrast.seeds for contrast in result.contrasts):
        blocks.append(
            figure_block(
                f"differences-{split}",
                difference_strip(study, split=split),
                f"Differences from {result.contrasts[0].baseline}, seed by seed",
                "; ".join(_described(contrast) for contrast in result.contrasts) + ".",
                f"One dot is one pair of runs that share a seed. {side} of zero, the named arm is better.",
            )
        )
    return tuple(blocks)


def _described(contrast: Contrast) -> str:
    return f"{contrast.arm}: {contrast.sentence}"


def interaction_figures(study: StudyRecord) -> tuple[FigureBlock, ...]:
    from .figures import interaction_plot

    interactions = [c for c in factor_effects(study) if c.effect and c.effect.is_interaction]
    if len(blocks(study)[0]) < 2:
        return ()
    pairs = list(dict.fromkeys((c.effect.factor, c.effect.by) for c in interactions if c.effect))
    return tuple(
        figure_block(
            f"interaction-{number}",
            interaction_plot(study, first, second),
            f"{first} by {second}",
            f"Mean validation {measure_of(study).label} at each level of {first}, one line for each level of {second}. "
            + " ".join(
                f"{c.sentence}." for c in interactions if c.effect and (c.effect.factor, c.effect.by) == (first, second)
            ),
            "Bars are 95 % intervals of the means.",
        )
        for number, (first, second) in enumerate(pairs)
    )


def ranking_figure(study: StudyRecord) -> FigureBlock | None:
    from .figures import critical_difference

    ranking = ranking_of(study)
    if ranking is None:
        return None
    described = "; ".join(
        f"{arm.name} {rank:.2f}" for arm, rank in zip(ordered_arms(study), ranking.mean_ranks, strict=True)
    )
    return figure_block(
        "ranking",
        critical_difference(study, ranking),
        f"Mean ranks over {counted(ranking.n, 'seed')}",
        f"Mean rank of every arm, 1 is the best: {described}.",
        f"{ranking.refusal}." if ranking.refusal else "A bar to the right joins arms that are not told apart.",
    )


def curve_figures(study: StudyRecord) -> tuple[FigureBlock, ...]:
    from .figures import Measured, Metric, learning_curves

    if not any(run.epochs for run in study.runs):
        return ()
    panels: tuple[tuple[Metric, Measured, str], ...] = (
        ("accuracy", "validation", "Validation accuracy"),
        ("accuracy", "train", "Training accuracy"),
        ("loss", "validation", "Validation loss"),
        ("loss", "train", "Training loss"),
    )
    arms = ", ".join(arm.name for arm in ordered_arms(study))
    return tuple(
        figure_block(
            f"curves-{metric}-{measured}",
            learning_curves(study, metric, measured),
            title,
            f"{title} after each epoch, one line per run, with mean and 95 % band of: {arms}.",
            group="curves",
        )
        for metric, measured, title in panels
    )


def cost_figures(study: StudyRecord, networks: Mapping[str, NetworkTable]) -> tuple[FigureBlock, ...]:
    """Accuracy against time and energy, where runs have them, and against parameters and bytes, where arms differ in
    them."""
    from .figures import (
        accuracy_against_bytes,
        accuracy_against_energy,
        accuracy_against_parameters,
        accuracy_against_time,
    )

    finished = [run for run in study.runs if run.state == "finished"]
    note = "A faint dot is a run, a mark the mean of an arm, its bar the 95 % interval."
    note += (
        " Up and to the left is better." if measure_of(study).higher_is_better else " Down and to the left is better."
    )
    note += (
        " Dotted: arms that no other beats at the same cost or less, by their means; verdicts say which steps are real."
    )
    label = measure_of(study).label
    title = f"{label[:1].upper()}{label[1:]}"
    blocks: list[FigureBlock] = []
    if any(run.seconds for run in finished):
        described = f"Mean validation {label} against mean seconds per run, one mark per arm."
        blocks.append(figure_block("cost", accuracy_against_time(study), f"{title} against time", described, note))
    if any(run.joules for run in finished):
        described = f"Mean validation {label} against mean joules per run, one mark per arm."
        blocks.append(
            figure_block("energy", accuracy_against_energy(study), f"{title} against energy", described, note)
        )
    split: Split = "test" if any(arm.n for arm in arm_scores(study, split="test")) else "validation"
    parameters = {name: table.parameters for name, table in networks.items()}
    if len({parameters[run.arm] for run in finished if run.arm in parameters}) > 1:
        described = f"Mean {split} {label} against parameters, one mark per arm."
        figure = accuracy_against_parameters(study, parameters, split)
        blocks.append(figure_block("parameters", figure, f"{title} against parameters", described, note))
    sizes = {name: table.program.bytes for name, table in networks.items() if table.program is not None}
    if len({sizes[run.arm] for run in finished if run.arm in sizes}) > 1:
        described = f"Mean {split} {label} against bytes of the C program's constants, one mark per arm."
        figure = accuracy_against_bytes(study, sizes, split)
        extra = " Bytes are those of the fixed-point program that C export writes, with weights of 8 bits."
        blocks.append(figure_block("bytes", figure, f"{title} against bytes", described, note + extra))
    return tuple(blocks)


def gallery_figures(gallery: Gallery) -> tuple[FigureBlock, ...]:
    from .figures import class_counts

    counts = ", ".join(
        f"{name} {whole(count)}" for name, count in zip(gallery.class_names, gallery.training_counts, strict=True)
    )
    described = f"Training images of each class: {counts}."
    return (
        figure_block("class-counts", class_counts(gallery), "Images of each class in the training split", described),
    )


def explanation_blocks(explanations: Sequence[Illustration]) -> tuple[FigureBlock | PictureBlock, ...]:
    """Explanations of the best arm: Plotly figures drawn by the page, and PNG pictures."""
    return tuple(
        _picture(explanation, explanation.image)
        if isinstance(explanation.image, bytes)
        else figure_block(
            f"explanation-{number}", explanation.image, explanation.title, explanation.caption, explanation.caption
        )
        for number, explanation in enumerate(explanations)
    )


def _picture(explanation: Illustration, png: bytes) -> PictureBlock:
    width = int.from_bytes(png[16:20])  # in a PNG's header
    images = (png, explanation.dark, explanation.narrow, explanation.narrow_dark)
    shown, dark, narrow, narrow_dark = (base64.b64encode(image or b"").decode() for image in images)
    width = round(width / explanation.density)
    return PictureBlock(shown, explanation.title, explanation.caption, dark, width, narrow, narrow_dark)


def figure_block(id_: str, figure: Any, title: str, description: str, note: str = "", group: str = "") -> FigureBlock:
    """A figure of plotly as the templates take it."""
    text = figure.to_json(validate=False)
    # Inside a script element only "<" could end it or open a comment.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return FigureBlock(id_, text, title, description, note, group, int(figure.layout.height or 450))


def search_section(study: StudyRecord) -> dict[str, Any]:
    """The section of a search: what was spent and found, then how the finalists fared with fresh seeds."""
    from ..search import importances, result_of_search
    from .figures.search import (
        cost_front,
        described,
        importance_bars,
        optimism_strip,
        parallel_coordinates,
        trial_curves,
    )
    from .search import optimism_table, rungs_table, search_sentences, trials_table

    result = result_of_search(study)
    has_scores = any(trial.score is not None for trial in result.outcomes)
    sentences = search_sentences(study)
    importance = {}
    if has("optuna"):
        importance = importances(result)
    else:
        sentences = (
            *sentences,
            f"The importance of parameters needs Optuna, which is not installed: {remedy('optuna')}",
        )
    metric = result.metric.replace("_", " ").capitalize()
    blocks = []
    if has_scores:
        blocks = [
            figure_block(
                "search-curves",
                trial_curves(study, result),
                "Trials, epoch by epoch",
                f"{metric} of every trial after each epoch; a line ends where its trial was stopped.",
                "A line ends where its trial was stopped.",
            ),
            figure_block(
                "search-front",
                cost_front(study, result),
                f"{metric} against parameters",
                f"One dot per trial. On the front: {described(result.front)}.",
                "Larger dots were trained for longer. The front joins trials that none beats in both; scores in a "
                "search are too good, so look at the fresh seeds.",
            ),
            figure_block(
                "search-parallel",
                parallel_coordinates(result),
                "Values of every trial",
                "One line per trial through its parameters' values to its score; the table of trials holds the same.",
                "The best are those that came furthest, with the best score. A line at the foot lacks that parameter. "
                "A bar across an axis is the search's limit.",
            ),
        ]
    if importance:
        shares = ", ".join(f"{name} {percent(share, 0)}" for name, share in importance.items())
        after = "" if not result.observed_epochs else f" after {counted(result.observed_epochs, 'epoch')}"
        number = sum(trial.values is not None for trial in result.observed)
        blocks.append(
            figure_block(
                "search-importance",
                importance_bars(result, importance),
                "Importance of parameters",
                f"Share of the variation of scores that each parameter explains: {shares}.",
                f"Functional ANOVA over the scores of {counted(number, 'trial')}{after}; parameters that some trials "
                "lack are left out. A guide to the space, not a verdict.",
            )
        )
    fresh = any(trial.fresh is not None for trial in result.optimism)
    return {
        "sentences": sentences,
        "optimism": figure_block(
            "search-optimism",
            optimism_strip(study, result),
            "Finalists: in the search, and with fresh seeds",
            "The search's score and the mean over fresh seeds of every finalist; the table holds the same.",
            "Open: the score that the search saw. Filled: the mean over fresh seeds, with its 95 % interval.",
        )
        if fresh
        else None,
        "optimism_table": optimism_table(study, result) if fresh else None,
        "is_reused": any(trial.is_on_same_images for trial in result.optimism),
        "figures": blocks,
        "rungs_table": rungs_table(result),
        "trials_table": trials_table(result),
    }
