"""Tables with a row for each arm."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from ...analysis.images import networks
from ...analysis.measured import measure_of
from ...analysis.scores import Split, arm_scores, counted_epoch, ordered_arms
from ...measures import PERCENT, Unit
from ...numerals import counted, flops, p_value, percent, seconds, significant, whole
from ...stats import Interval, Ranking
from ...store.records import StudyRecord
from ..inputs import NetworkTable
from ..palette import arm_styles
from .table import Cell, Table, headings, line


def arms_table(study: StudyRecord, summaries: Mapping[str, NetworkTable], *, split: Split = "validation") -> Table:
    """Every arm with n, mean, interval, deviation between seeds, parameters where they are known, and time."""
    styles, measure = arm_styles(study), measure_of(study)
    rows = []
    for arm in arm_scores(study, split=split):
        unit, interval = _written(measure.unit, arm.interval)
        network = summaries.get(arm.arm)
        times = [run.seconds for run in study.runs_of(arm.arm) if run.state == "finished" and run.seconds is not None]
        rows.append(
            line(
                Cell(arm.arm, styles[arm.arm]),
                str(arm.n) if arm.n == arm.num_runs else f"{arm.n} of {arm.num_runs}",
                unit.value(arm.mean),
                interval,
                "–" if arm.deviation is None else unit.number(arm.deviation),
                *((whole(network.parameters if network else None),) if summaries else ()),
                seconds(statistics.fmean(times) if times else None),
            )
        )
    counts = ("parameters",) if summaries else ()
    titles = ("n", f"mean {split} {measure.label}", "95 % interval", "deviation", *counts, "time per run")
    in_unit = f", in {measure.unit.name}" if measure.unit.name else ""
    caption = (
        f"Arms: {split} {measure.label} {counted_epoch(study)}; deviation is the standard deviation between "
        f"seeds{in_unit}."
    )
    if study.is_leaky:
        caption += " Leaky: validation images are the test images."
    return Table(caption, headings("arm", *titles), tuple(rows))


def ranking_table(study: StudyRecord, ranking: Ranking) -> Table:
    """The arms by mean rank, with mean score and interval."""
    styles, measure = arm_styles(study), measure_of(study)
    scores = arm_scores(study)
    order = sorted(range(len(scores)), key=lambda index: ranking.mean_ranks[index])
    rows = []
    for index in order:
        unit, interval = _written(measure.unit, scores[index].interval)
        arm = Cell(scores[index].arm, styles[scores[index].arm])
        rank = f"{ranking.mean_ranks[index]:.2f}"
        rows.append(line(arm, rank, unit.value(scores[index].mean), interval, str(ranking.n)))
    friedman = "" if ranking.friedman_p is None else f" Friedman's p that all are alike: {p_value(ranking.friedman_p)}."
    caption = f"Arms by mean rank over {counted(ranking.n, 'seed')} that all have.{friedman}"
    if ranking.refusal:
        caption += f" {ranking.refusal}."
    return Table(caption, headings("arm", "mean rank", f"mean {measure.label}", "95 % interval", "seeds"), tuple(rows))


def images_table(study: StudyRecord) -> Table:
    """Each arm's first network on the test images, with Wilson's interval."""
    styles = arm_styles(study)
    rows = tuple(
        line(
            Cell(network.arm, styles[network.arm]),
            str(network.seed),
            PERCENT.within(network.share.low, network.share.high).value(network.share.mean),
            PERCENT.interval(network.share.low, network.share.high),
            whole(network.share.n),
        )
        for network in networks(study)
    )
    caption = "Each arm's first network on the test images: Wilson's intervals are for other images, not other seeds."
    return Table(caption, headings("arm", "seed", "test accuracy", "95 % interval", "images"), rows)


def costs_table(study: StudyRecord, summaries: Mapping[str, NetworkTable]) -> Table:
    """Each arm's cost and score: time, parameters, FLOPs, score per second of training."""
    measure = measure_of(study)
    styles, scores = arm_styles(study), {arm.arm: arm for arm in arm_scores(study)}
    rows = []
    has_energy = any(run.joules is not None for run in study.runs)
    for arm in ordered_arms(study):
        finished = [run for run in study.runs_of(arm.name) if run.state == "finished"]
        times = [run.seconds for run in finished if run.seconds is not None]
        epochs = [epoch.seconds for run in finished for epoch in run.epochs]
        network, mean = summaries.get(arm.name), scores[arm.name].mean
        has_rate = mean is not None and times and min(times) > 0 and measure.higher_is_better
        rate = measure.unit.scale * (mean or 0.0) / statistics.fmean(times) if has_rate else None
        counts = (whole(network.parameters), flops(network.flops)) if network else ("–", "–")
        energies = [run.joules for run in finished if run.joules is not None]
        rows.append(
            line(
                Cell(arm.name, styles[arm.name]),
                str(len(times)),
                seconds(statistics.fmean(times) if times else None),
                seconds(statistics.median(epochs) if epochs else None),
                seconds(sum(times) if times else None),
                *((significant(statistics.fmean(energies) if energies else None),) if has_energy else ()),
                *(counts if summaries else ()),
                measure.unit.value(mean),
                significant(rate),
            )
        )
    counted_ = ("parameters", "FLOPs per image") if summaries else ()
    per_second = f"{measure.unit.name or 'score'} a second"
    joules = ("joules per run",) if has_energy else ()
    titles = (
        "runs", "time per run", "time per epoch", "all runs", *joules, *counted_, f"mean {measure.label}", per_second
    )  # fmt: skip
    caption = (
        "Cost of finished runs, training and evaluation: mean time per run, median time per epoch; "
        f"{per_second} {'are' if measure.unit.name else 'is'} the mean validation {measure.label} over the mean time. "
        f"Runs side by side share the machine. {_energy_note(study)}"
    )
    return Table(caption, headings("arm", *titles), tuple(rows))


def _written(unit: Unit, interval: Interval | None) -> tuple[Unit, str]:
    """The unit in which a mean with this interval is written, and the interval."""
    if interval is None:
        return unit, "needs 2 seeds"
    return unit.within(interval.low, interval.high), unit.interval(interval.low, interval.high)


def _energy_note(study: StudyRecord) -> str:
    """Where joules come from, or why there are none, as sentences."""
    known = [run.environment["energy"] for run in study.runs if "energy" in run.environment]
    lacking = sorted({str(one["lacking"]) for one in known if "lacking" in one})
    measured = [one for one in known if "joules" in one]
    texts = []
    if measured:
        sources = " and ".join(sorted({str(one["source"]) for one in measured}))
        own, whole_ = (sum(float(one[key]) for one in measured) for key in ("joules", "package_joules"))
        share = own / whole_ if whole_ > 0 else 1.0
        texts.append(
            f"Joules are those of the processor's packages ({sources}), in each run's share of busy processor time; "
            f"of what these packages took meanwhile, runs had {percent(share, 0)}. Screens, disks, fans and what the "
            "electricity was made of are not in them."
        )
    if lacking:
        which = f"of {counted(len(known) - len(measured), 'run')} " if measured else ""
        texts.append(f"Energy {which}was not measured: {'; '.join(lacking)}.")
    return " ".join(texts)
