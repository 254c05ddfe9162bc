"""Tables with a row for each arm."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from ...analysis.images import networks
from ...analysis.numbers import counted, flops, p_value, percent, seconds, significant, whole
from ...analysis.scores import Split, arm_scores, counted_epoch, ordered_arms
from ...stats import Ranking
from ...store.records import StudyRecord
from ..inputs import NetworkTable
from ..palette import arm_styles
from .table import Cell, Table, ends, headings, line


def arms_table(study: StudyRecord, summaries: Mapping[str, NetworkTable], *, split: Split = "validation") -> Table:
    """Every arm with n, mean, interval, deviation between seeds, parameters where they are known, and time."""
    styles = arm_styles(study)
    rows = []
    for arm in arm_scores(study, split=split):
        interval = "needs 2 seeds" if arm.interval is None else ends(arm.interval.low, arm.interval.high)
        network = summaries.get(arm.arm)
        times = [run.seconds for run in study.runs_of(arm.arm) if run.state == "finished" and run.seconds is not None]
        rows.append(
            line(
                Cell(arm.arm, styles[arm.arm]),
                str(arm.n) if arm.n == arm.num_runs else f"{arm.n} of {arm.num_runs}",
                percent(arm.mean),
                interval,
                "–" if arm.deviation is None else f"{100 * arm.deviation:.2f}",
                *((whole(network.parameters if network else None),) if summaries else ()),
                seconds(statistics.fmean(times) if times else None),
            )
        )
    counts = ("parameters",) if summaries else ()
    titles = ("n", f"mean {split} accuracy", "95 % interval", "deviation", *counts, "time per run")
    caption = (
        f"Arms: {split} accuracy {counted_epoch(study)}; deviation is the standard deviation between seeds, in points."
    )
    if study.is_leaky:
        caption += " Leaky: validation images are the test images."
    return Table(caption, headings("arm", *titles), tuple(rows))


def ranking_table(study: StudyRecord, ranking: Ranking) -> Table:
    """The arms by mean rank, with mean accuracy and interval."""
    styles = arm_styles(study)
    scores = arm_scores(study)
    order = sorted(range(len(scores)), key=lambda index: ranking.mean_ranks[index])
    rows = tuple(
        line(
            Cell(scores[index].arm, styles[scores[index].arm]),
            f"{ranking.mean_ranks[index]:.2f}",
            percent(scores[index].mean),
            "needs 2 seeds" if (interval := scores[index].interval) is None else ends(interval.low, interval.high),
            str(ranking.n),
        )
        for index in order
    )
    friedman = "" if ranking.friedman_p is None else f" Friedman's p that all are alike: {p_value(ranking.friedman_p)}."
    caption = f"Arms by mean rank over {counted(ranking.n, 'seed')} that all have.{friedman}"
    if ranking.refusal:
        caption += f" {ranking.refusal}."
    return Table(caption, headings("arm", "mean rank", "mean accuracy", "95 % interval", "seeds"), rows)


def images_table(study: StudyRecord) -> Table:
    """Each arm's first network on the test images, with Wilson's interval."""
    styles = arm_styles(study)
    rows = tuple(
        line(
            Cell(network.arm, styles[network.arm]),
            str(network.seed),
            percent(network.share.mean),
            ends(network.share.low, network.share.high),
            whole(network.share.n),
        )
        for network in networks(study)
    )
    caption = "Each arm's first network on the test images: Wilson's intervals are for other images, not other seeds."
    return Table(caption, headings("arm", "seed", "test accuracy", "95 % interval", "images"), rows)


def costs_table(study: StudyRecord, summaries: Mapping[str, NetworkTable]) -> Table:
    """Each arm's cost and accuracy: time, parameters, FLOPs, accuracy per second of training."""
    styles, scores = arm_styles(study), {arm.arm: arm for arm in arm_scores(study)}
    rows = []
    for arm in ordered_arms(study):
        finished = [run for run in study.runs_of(arm.name) if run.state == "finished"]
        times = [run.seconds for run in finished if run.seconds is not None]
        epochs = [epoch.seconds for run in finished for epoch in run.epochs]
        network, mean = summaries.get(arm.name), scores[arm.name].mean
        rate = 100 * mean / statistics.fmean(times) if mean is not None and times and min(times) > 0 else None
        counts = (whole(network.parameters), flops(network.flops)) if network else ("–", "–")
        rows.append(
            line(
                Cell(arm.name, styles[arm.name]),
                str(len(times)),
                seconds(statistics.fmean(times) if times else None),
                seconds(statistics.median(epochs) if epochs else None),
                seconds(sum(times) if times else None),
                *(counts if summaries else ()),
                percent(mean),
                significant(rate),
            )
        )
    counted_ = ("parameters", "FLOPs per image") if summaries else ()
    titles = ("runs", "time per run", "time per epoch", "all runs", *counted_, "mean accuracy", "points a second")
    caption = (
        "Cost of finished runs, training and evaluation: mean time per run, median time per epoch; points a second are "
        "the mean validation accuracy over the mean time. Runs side by side share the machine."
    )
    return Table(caption, headings("arm", *titles), tuple(rows))
