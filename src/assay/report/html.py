"""A study's record as one HTML file that reads without a network, and as a small table for notebooks."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..store.records import StudyRecord
from .answer import answer, is_unfinished, progress_sentence, retrained_sentences
from .contrasts import Contrast, blocks, factor_effects, ranking_of
from .images import duel
from .inputs import Gallery, NetworkTable
from .numbers import counted, moment, whole
from .palette import arm_styles
from .scores import LEAKY, Split, arm_scores, counted_epoch, failures, ordered_arms, rule_of, varied
from .tables import (
    arms_table,
    contrasts_table,
    diagnoses_table,
    effects_table,
    failures_table,
    images_table,
    looks_table,
    network_tables,
    provenance_table,
    ranking_table,
    retrained_table,
    runs_table,
    times_table,
)

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True)
class FigureBlock:
    """A figure in the page: its JSON, what it is called, what it shows in words, and how to read it.

    ``group`` names the switches that a figure listens to.
    """

    id: str
    json: str
    title: str
    description: str
    note: str = ""
    group: str = ""
    height: int = 0


def render(
    study: StudyRecord,
    *,
    summaries: Mapping[str, NetworkTable],
    gallery: Gallery | None,
    version: str,
    toml: str = "",
    shared: Mapping[str, int] | None = None,
) -> str:
    """One HTML file with the answer, its evidence and what made it. It holds all that it needs and loads nothing.

    The same record gives the same bytes.

    Args:
        study: Everything known about the study; it may be unfinished.
        summaries: Each arm's network by the arm's name; arms without one are left out of the network section.
        gallery: A look at the data; ``None`` leaves it out.
        version: Assay's version.
        toml: The study as a TOML text.
        shared: By run id, how many of its validation images are among its training images, where it was counted.
    """
    from plotly.offline import get_plotlyjs

    is_scored = any(arm.n for arm in arm_scores(study))
    is_revealed = any(arm.n for arm in arm_scores(study, split="test"))
    return (
        environment()
        .get_template("report.html")
        .render(
            study=study,
            version=version,
            toml=toml,
            plotly_js=get_plotlyjs(),
            facts=_facts(study),
            answer=answer(study),
            progress=progress_sentence(study) if is_unfinished(study) else "",
            scores=_score_figures(study, "validation") if is_scored else (),
            arms_table=arms_table(study, summaries),
            contrasts_table=contrasts_table(study) if is_scored and len(study.arms) > 1 else None,
            varied=varied(study),
            sequential=_sequential(study),
            interactions=_interaction_figures(study),
            effects_table=effects_table(study),
            ranking=_ranking_figure(study),
            ranking_table=ranking_table(study, ranking) if (ranking := ranking_of(study)) else None,
            diagnoses_table=diagnoses_table(study, shared),
            failures_table=failures_table(study) if failures(study) else None,
            runs_table=runs_table(study),
            test=_test(study, summaries) if is_revealed else None,
            looks_table=looks_table(study) if study.looks else None,
            retrained_table=retrained_table(study) if study.retrained else None,
            retrained=retrained_sentences(study),
            counted_epoch=counted_epoch(study),
            leaky=LEAKY if study.is_leaky else "",
            curves=_curve_figures(study),
            search=_search(study) if study.search else None,
            switches=[{"name": arm, "style": style} for arm, style in arm_styles(study).items()],
            times=_time_figures(study) if is_scored else (),
            times_table=times_table(study),
            networks=network_tables(study, summaries),
            gallery=gallery,
            gallery_image=base64.b64encode(gallery.png).decode() if gallery else "",
            gallery_figures=_gallery_figures(gallery) if gallery else (),
            provenance=provenance_table(study, version=version),
            updated=moment(study.updated),
        )
    )


def summary_html(study: StudyRecord) -> str:
    """A study's answer and arms as a small HTML fragment for a notebook's cell: no script, no figures."""
    found = answer(study)
    return (
        environment()
        .get_template("summary.html")
        .render(study=study, answer=found, table=arms_table(study, {}), progress=progress_sentence(study))
    )


def environment(*packages: str) -> jinja2.Environment:
    """The templates of the report, and before them those of other packages."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in (*packages, "assay.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _facts(study: StudyRecord) -> tuple[str, ...]:
    seeds = len({run.seed for run in study.runs})
    data = str(study.data.get("title") or study.data.get("name") or "")
    facts = (study.name, data, counted(len(study.arms), "arm"), counted(seeds, "seed"), moment(study.updated))
    return tuple(fact for fact in facts if fact)


def _search(study: StudyRecord) -> dict[str, Any]:
    """The section of a search: what was spent and found, then how the finalists fared with fresh seeds."""
    from ..search import found_in, importances
    from .search import optimism_table, rungs_table, search_sentences, trials_table
    from .search_figures import (
        cost_front,
        described,
        importance_bars,
        optimism_strip,
        parallel_coordinates,
        trial_curves,
    )

    found = found_in(study)
    has_scores = any(one.score is not None for one in found.outcomes)
    known = importances(found)
    metric = found.metric.replace("_", " ").capitalize()
    blocks = []
    if has_scores:
        blocks = [
            figure_block(
                "search-curves",
                trial_curves(study, found),
                "Trials, epoch by epoch",
                f"{metric} of every trial after each epoch; a line ends where its trial was stopped.",
                "A line ends where its trial was stopped.",
            ),
            figure_block(
                "search-front",
                cost_front(study, found),
                f"{metric} against parameters",
                f"One dot per trial. On the front: {described(found.front)}.",
                "Larger dots were trained for longer. The front joins trials that none beats in both; scores in a "
                "search are too good, so look at the fresh seeds.",
            ),
            figure_block(
                "search-parallel",
                parallel_coordinates(found),
                "Values of every trial",
                "One line per trial through the values of its parameters; the table of trials holds the same.",
                "The best are those that came furthest, with the best score. A line at the foot lacks that parameter.",
            ),
        ]
    if known:
        told = ", ".join(f"{name} {share:.0%}" for name, share in known.items())
        after = "" if not found.observed_epochs else f" after {counted(found.observed_epochs, 'epoch')}"
        number = sum(one.values is not None for one in found.observed)
        blocks.append(
            figure_block(
                "search-importance",
                importance_bars(found, known),
                "Importance of parameters",
                f"Share of the variation of scores that each parameter explains: {told}.",
                f"Functional ANOVA over the scores of {counted(number, 'trial')}{after}; parameters that some trials "
                "lack are left out. A guide to the space, not a verdict.",
            )
        )
    fresh = any(one.fresh is not None for one in found.optimism)
    return {
        "sentences": search_sentences(study),
        "optimism": figure_block(
            "search-optimism",
            optimism_strip(study, found),
            "Finalists: in the search, and with fresh seeds",
            "The search's score and the mean over fresh seeds of every finalist; the table holds the same.",
            "Open: the score that the search saw. Filled: the mean over fresh seeds, with its 95 % interval.",
        )
        if fresh
        else None,
        "optimism_table": optimism_table(study, found) if fresh else None,
        "figures": blocks,
        "rungs_table": rungs_table(found),
        "trials_table": trials_table(found),
    }


def _test(study: StudyRecord, summaries: Mapping[str, NetworkTable]) -> dict[str, Any]:
    num_finished = sum(run.state == "finished" for run in study.runs)
    num_scored = sum(arm.n for arm in arm_scores(study, split="test"))
    return {
        "answer": answer(study, split="test"),
        "figures": _score_figures(study, "test"),
        "arms_table": arms_table(study, summaries, split="test"),
        "contrasts_table": contrasts_table(study, split="test") if len(study.arms) > 1 else None,
        "looks": counted(len(study.looks), "look"),
        "num_looks": len(study.looks),
        "missing": num_finished - num_scored,
        "images_table": images_table(study) if study.test_hits else None,
        "duel": finalists.sentences if (finalists := duel(study)) else (),
    }


def _score_figures(study: StudyRecord, split: Split) -> tuple[FigureBlock, ...]:
    from .figures import difference_strip, score_strip

    found = answer(study, split=split)
    folds = ", the mean of its folds" if any(run.fold for run in study.runs) else ""
    pairs = " A thin line joins the two runs of a seed." if len(study.arms) == 2 else ""
    blocks = [
        figure_block(
            f"scores-{split}",
            score_strip(study, split=split),
            f"{split.capitalize()} accuracy of every {'seed' if folds else 'run'}",
            f"One dot per {'seed' if folds else 'run'}, one row per arm. {found.headline}.",
            f"One dot is one seed{folds}. The stroke is the mean, the bar its 95 % interval.{pairs}",
        )
    ]
    if any(contrast.seeds for contrast in found.contrasts):
        blocks.append(
            figure_block(
                f"differences-{split}",
                difference_strip(study, split=split),
                f"Differences from {found.contrasts[0].baseline}, seed by seed",
                "; ".join(_described(contrast) for contrast in found.contrasts) + ".",
                "One dot is one pair of runs that share a seed. Right of zero, the named arm is better.",
            )
        )
    return tuple(blocks)


def _described(contrast: Contrast) -> str:
    return f"{contrast.arm}: {contrast.sentence}"


def _sequential(study: StudyRecord) -> str:
    """How a study that stops when decided pays for its looks, as a sentence."""
    rule = rule_of(study)
    if not rule.stop:
        return ""
    contrasts_ = max(len(study.arms) - 1, 1)
    share = f", {5 / contrasts_:.2g} % for each of {contrasts_} arms," if contrasts_ > 1 else ""
    return (
        f"Arms stop when decided, between {rule.first} and {rule.planned} seeds; the looks share 5 % of false "
        f"calls{share} after Lan and DeMets, and intervals hold at every look together"
    )


def _interaction_figures(study: StudyRecord) -> tuple[FigureBlock, ...]:
    from .figures import interaction_plot

    found = [c for c in factor_effects(study) if c.effect and c.effect.is_interaction]
    if len(blocks(study)[0]) < 2:
        return ()
    pairs = list(dict.fromkeys((c.effect.factor, c.effect.by) for c in found if c.effect))
    return tuple(
        figure_block(
            f"interaction-{number}",
            interaction_plot(study, one, other),
            f"{one} by {other}",
            f"Mean validation accuracy at each level of {one}, one line for each level of {other}. "
            + " ".join(f"{c.sentence}." for c in found if c.effect and (c.effect.factor, c.effect.by) == (one, other)),
            "Bars are 95 % intervals of the means.",
        )
        for number, (one, other) in enumerate(pairs)
    )


def _ranking_figure(study: StudyRecord) -> FigureBlock | None:
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
        "A bar to the right joins arms that are not told apart.",
    )


def _curve_figures(study: StudyRecord) -> tuple[FigureBlock, ...]:
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


def _time_figures(study: StudyRecord) -> tuple[FigureBlock, ...]:
    from .figures import run_times

    described = "Seconds of every finished run, one dot per run; the table below holds the means."
    return (figure_block("times", run_times(study), "Seconds per run", described),)


def _gallery_figures(gallery: Gallery) -> tuple[FigureBlock, ...]:
    from .figures import class_counts

    counts = ", ".join(
        f"{name} {whole(count)}" for name, count in zip(gallery.class_names, gallery.training_counts, strict=True)
    )
    described = f"Training images of each class: {counts}."
    return (
        figure_block("class-counts", class_counts(gallery), "Images of each class in the training split", described),
    )


def figure_block(id_: str, figure: Any, title: str, description: str, note: str = "", group: str = "") -> FigureBlock:
    """A figure of plotly as the templates take it."""
    text = figure.to_json(validate=False)
    # Inside a script element only "<" could end it or open a comment.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return FigureBlock(id_, text, title, description, note, group, int(figure.layout.height))
