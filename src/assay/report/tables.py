"""Tables: from records to rows of text. What they look like is the template's."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..stats import Ranking
from ..store.records import StudyRecord
from .contrasts import Contrast, contrasts, factor_effects
from .diagnoses import diagnose_study
from .images import networks
from .inputs import NetworkTable
from .numbers import counted, flops, moment, p_value, percent, points, seconds, significant, whole
from .palette import ArmStyle, arm_styles
from .scores import Split, arm_scores, counted_epoch, failures, ordered_arms, score_of


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers stand to the right."""

    title: str
    is_number: bool = True


@dataclass(frozen=True)
class Cell:
    """A text, with an arm's mark before it where it names an arm."""

    text: str
    style: ArmStyle | None = None


@dataclass(frozen=True)
class Table:
    """A caption, headings and rows; the first cell of a row names it. ``total`` stands below a line."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] = ()


def arms_table(study: StudyRecord, summaries: Mapping[str, NetworkTable], *, split: Split = "validation") -> Table:
    """Every arm with n, mean, interval, deviation between seeds, parameters where they are known, and time."""
    styles = arm_styles(study)
    rows = []
    for arm in arm_scores(study, split=split):
        interval = "needs 2 seeds" if arm.interval is None else _interval(arm.interval.low, arm.interval.high)
        network = summaries.get(arm.arm)
        times = [run.seconds for run in study.runs_of(arm.arm) if run.state == "finished" and run.seconds is not None]
        rows.append(
            _row(
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
    return Table(caption, _columns("arm", *titles), tuple(rows))


def contrasts_table(study: StudyRecord, *, split: Split = "validation") -> Table:
    """Every contrast with its paired difference, intervals, p, and what its pairs could find."""
    found = contrasts(study, split=split)
    baseline = found[0].baseline if found else ""
    caption = f"Paired differences in {split} accuracy from {baseline}, in percentage points."
    styles = arm_styles(study)
    return _findings_table(caption, "arm", [(Cell(c.arm, styles[c.arm]), c) for c in found])


def effects_table(study: StudyRecord, *, split: Split = "validation") -> Table:
    """Main effects and interactions of crossed factors."""
    found = factor_effects(study, split=split)
    rows = []
    for contrast in found:
        effect = contrast.effect
        name = f"{contrast.baseline} to {contrast.arm}"
        if effect is not None:
            name = f"{effect.factor}: {effect.low} to {effect.high}"
            if effect.is_interaction:
                name += f", by {effect.by}: {effect.by_low} to {effect.by_high}"
        rows.append((Cell(name), contrast))
    caption = f"Effects of the factors on {split} accuracy, in percentage points: each alone, then two together."
    return _findings_table(caption, "effect", rows)


def ranking_table(study: StudyRecord, ranking: Ranking) -> Table:
    """The arms by mean rank, with mean accuracy and interval."""
    styles = arm_styles(study)
    scores = arm_scores(study)
    order = sorted(range(len(scores)), key=lambda index: ranking.mean_ranks[index])
    rows = tuple(
        _row(
            Cell(scores[index].arm, styles[scores[index].arm]),
            f"{ranking.mean_ranks[index]:.2f}",
            percent(scores[index].mean),
            "needs 2 seeds" if (interval := scores[index].interval) is None else _interval(interval.low, interval.high),
            str(ranking.n),
        )
        for index in order
    )
    friedman = "" if ranking.friedman_p is None else f" Friedman's p that all are alike: {p_value(ranking.friedman_p)}."
    caption = f"Arms by mean rank over {counted(ranking.n, 'seed')} that all have.{friedman}"
    return Table(caption, _columns("arm", "mean rank", "mean accuracy", "95 % interval", "seeds"), rows)


def _findings_table(caption: str, what: str, rows: Sequence[tuple[Cell, Contrast]]) -> Table:
    contrasts_ = [contrast for _, contrast in rows]
    has_many = len(rows) > 1 and any(contrast.adjusted_p is not None for contrast in contrasts_)
    has_bootstrap = any(contrast.finding.bootstrap for contrast in contrasts_)
    has_margin = any(contrast.finding.equivalence_p is not None for contrast in contrasts_)
    has_looks = any(contrast.finding.num_looks for contrast in contrasts_)
    is_corrected = any(contrast.finding.is_corrected for contrast in contrasts_)
    lines = []
    for name, contrast in rows:
        found, difference = contrast.finding, contrast.difference
        bootstrap = f"[{points(found.bootstrap.low)}, {points(found.bootstrap.high)}]" if found.bootstrap else "agrees"
        wins = found.superiority
        lines.append(
            _row(
                name,
                contrast.label,
                str(found.n),
                points(difference.mean) if difference else "–",
                f"[{points(difference.low)}, {points(difference.high)}]" if difference else "needs 2 pairs",
                *((bootstrap,) if has_bootstrap else ()),
                f"{found.look} of {found.num_looks}"
                if has_looks
                else p_value(difference.p_value)
                if difference
                else "–",
                *((p_value(contrast.adjusted_p),) if has_many else ()),
                *((p_value(found.equivalence_p) if found.equivalence_p is not None else "–",) if has_margin else ()),
                f"{100 * wins.mean:.0f} % [{100 * wins.low:.0f}, {100 * wins.high:.0f}]" if wins else "–",
                "–" if found.smallest is None else f"{100 * found.smallest:.2f}",
            )
        )
    titles = (
        "folds" if is_corrected else "pairs",
        "mean difference",
        "95 % interval",
        *(("BCa bootstrap",) if has_bootstrap else ()),
        "look" if has_looks else "corrected t p" if is_corrected else "sign-flip p",
        *(("p after Holm",) if has_many else ()),
        *(("equivalence p",) if has_margin else ()),
        "better on",
        "could find",
    )
    name_column, *numbers = _columns(what, *titles)
    return Table(caption, (name_column, Column("outcome", is_number=False), *numbers), tuple(lines))


def failures_table(study: StudyRecord) -> Table:
    """The runs that failed, each with its reason and what to try."""
    styles = arm_styles(study)
    rows = tuple(
        _row(
            Cell(run.arm, styles.get(run.arm)),
            run.label.removeprefix("seed "),
            run.state,
            f"{len(run.epochs)} of {run.epochs_planned}" if run.epochs_planned else str(len(run.epochs)),
            run.reason or "not recorded",
            run.advice or "–",
        )
        for run in failures(study)
    )
    texts = tuple(Column(title, is_number=False) for title in ("what happened", "reason", "what to try"))
    head = _columns("arm", "seed")
    columns = (*head, texts[0], Column("epochs done"), *texts[1:])
    return Table(f"{counted(len(rows), 'run')} without a score.", columns, rows)


def runs_table(study: StudyRecord) -> Table:
    """Every run of the study."""
    styles = arm_styles(study)
    has_test = any(run.test_accuracy is not None for run in study.runs)
    has_folds = any(run.fold for run in study.runs)
    has_kept = any(run.kept is not run.last for run in study.runs)
    rows = []
    for arm in ordered_arms(study):
        for run in study.runs_of(arm.name):
            last = run.kept
            test = (percent(score_of(run, "test")),) if has_test else ()
            rows.append(
                _row(
                    Cell(arm.name, styles[arm.name]),
                    str(run.seed),
                    *((str(run.fold or "–"),) if has_folds else ()),
                    run.state,
                    f"{len(run.epochs)} of {run.epochs_planned}" if run.epochs_planned else str(len(run.epochs)),
                    *((str(last.epoch) if last else "–",) if has_kept else ()),
                    percent(last.train_accuracy if last else None),
                    percent(last.validation_accuracy if last else None),
                    significant(last.validation_loss if last else None),
                    *test,
                    seconds(run.seconds),
                    run.id[:12],
                )
            )
    columns = (
        *_columns("arm", "seed", *(("fold",) if has_folds else ())),
        Column("state", is_number=False),
        Column("epochs"),
        *((Column("epoch kept"),) if has_kept else ()),
        *(Column(title) for title in ("training accuracy", "validation accuracy", "validation loss")),
        *((Column("test accuracy"),) if has_test else ()),
        Column("time"),
        Column("run", is_number=False),
    )
    what = "with the figures of the epoch kept" if has_kept else "as last recorded"
    return Table(f"All {counted(len(rows), 'run')}, {what}.", columns, tuple(rows))


def retrained_table(study: StudyRecord) -> Table:
    """The runs of an arm that was trained anew on training and validation images, with their test accuracy."""
    styles = arm_styles(study)
    rows = tuple(
        _row(
            Cell(run.arm, styles.get(run.arm)),
            str(run.seed),
            run.state,
            f"{len(run.epochs)} of {run.epochs_planned}",
            percent(run.test_accuracy),
            seconds(run.seconds),
        )
        for run in study.retrained
    )
    columns = (
        *_columns("arm", "seed"),
        Column("state", is_number=False),
        *(Column(title) for title in ("epochs", "test accuracy", "time")),
    )
    return Table("Trained anew on training and validation images, and scored on the test split once.", columns, rows)


def times_table(study: StudyRecord) -> Table:
    """Seconds per run and per epoch of every arm's finished runs."""
    styles = arm_styles(study)
    rows = []
    for arm in ordered_arms(study):
        finished = [run for run in study.runs_of(arm.name) if run.state == "finished"]
        times = [run.seconds for run in finished if run.seconds is not None]
        epochs = [epoch.seconds for run in finished for epoch in run.epochs]
        rows.append(
            _row(
                Cell(arm.name, styles[arm.name]),
                str(len(times)),
                seconds(statistics.fmean(times) if times else None),
                f"{seconds(min(times))} to {seconds(max(times))}" if times else "–",
                seconds(statistics.median(epochs) if epochs else None),
                seconds(sum(times) if times else None),
            )
        )
    titles = ("n", "mean per run", "range", "median per epoch", "all runs")
    return Table("Time of finished runs, training and evaluation.", _columns("arm", *titles), tuple(rows))


def network_tables(
    study: StudyRecord, summaries: Mapping[str, NetworkTable]
) -> tuple[tuple[tuple[Cell, ...], Table], ...]:
    """Each network once, with the arms that share it."""
    styles = arm_styles(study)
    shared: dict[NetworkTable, list[str]] = {}
    for arm in ordered_arms(study):
        if arm.name in summaries:
            shared.setdefault(summaries[arm.name], []).append(arm.name)
    caption = (
        "Layers, top to bottom." if len(shared) > 1 or len(study.arms) == 1 else "Layers of every arm, top to bottom."
    )
    return tuple(
        (tuple(Cell(name, styles[name]) for name in names), _network_table(network, caption))
        for network, names in shared.items()
    )


def images_table(study: StudyRecord) -> Table:
    """Each arm's first network on the test images, with Wilson's interval."""
    styles = arm_styles(study)
    rows = tuple(
        _row(
            Cell(one.arm, styles[one.arm]),
            str(one.seed),
            percent(one.share.mean),
            _interval(one.share.low, one.share.high),
            whole(one.share.n),
        )
        for one in networks(study)
    )
    caption = "Each arm's first network on the test images: Wilson's intervals are for other images, not other seeds."
    return Table(caption, _columns("arm", "seed", "test accuracy", "95 % interval", "images"), rows)


def diagnoses_table(study: StudyRecord, shared: Mapping[str, int] | None = None) -> Table | None:
    """What is wrong with each arm's runs; ``None`` where nothing is."""
    found = diagnose_study(study, shared=shared)
    styles = arm_styles(study)
    rows = tuple(
        _row(
            Cell(one.arm, styles[one.arm]),
            one.kind,
            f"{one.num_runs} of {one.of}",
            f"{one.example.evidence} (seed {one.seed})",
            one.example.advice,
        )
        for one in found.arms
    )
    if not rows:
        return None
    texts = [Column(title, is_number=False) for title in ("diagnosis", "runs", "evidence", "what to try")]
    looked_at = counted(sum(found.looked_at.values()), "run")
    return Table(f"What recorded curves say of {looked_at}.", (Column("arm", is_number=False), *texts), rows)


def looks_table(study: StudyRecord) -> Table:
    """Each look at the test split."""
    rows = tuple(
        _row(str(number), moment(look.time), str(look.num_runs), str(look.num_new))
        for number, look in enumerate(study.looks, start=1)
    )
    columns = (Column("look", is_number=False), Column("when", is_number=False), Column("runs"), Column("scored anew"))
    return Table("Looks at the test split.", columns, rows)


def provenance_table(study: StudyRecord, *, version: str) -> Table:
    """What made these numbers: versions, machine, seeds and data."""
    started = [run.started for run in study.runs if run.started is not None]
    finished = [run.finished for run in study.runs if run.finished is not None]
    seeds = sorted({run.seed for run in study.runs})
    vary = study.spec.get("seeds", {}).get("vary", ())
    facts: list[tuple[str, str]] = [
        ("Study", study.name),
        ("First run started", moment(min(started, default=None))),
        ("Last run finished", moment(max(finished, default=None))),
        ("Seeds", _ranges(seeds) or "–"),
        ("What a seed changes", ", ".join(vary) or "–"),
        ("Data", str(study.data.get("title") or study.data.get("name", "–"))),
        ("Data content (SHA-256)", str(study.data.get("content", "–"))),
        ("Report made by", f"assay {version}"),
    ]
    facts += _environment(study)
    rows = tuple(_row(name, value) for name, value in facts)
    columns = (Column("what", is_number=False), Column("value", is_number=False))
    return Table("Where these numbers come from.", columns, rows)


def _network_table(network: NetworkTable, caption: str) -> Table:
    rows = tuple(
        _row(
            "\N{EM SPACE}" * len(row.path) + row.name,
            row.word,
            row.output_shape,
            whole(row.parameters),
            flops(row.flops),
        )
        for row in network.rows
    )
    columns = (
        *(Column(title, is_number=False) for title in ("layer", "as written", "output")),
        *(Column(title) for title in ("parameters", "FLOPs per image")),
    )
    trainable = "all trainable"
    if network.non_trainable:
        trainable = f"{whole(network.trainable)} trainable, {whole(network.non_trainable)} not"
    total = _row("total", trainable, "", whole(network.parameters), flops(network.flops))
    return Table(caption, columns, rows, total)


def _environment(study: StudyRecord) -> list[tuple[str, str]]:
    """Every fact of the runs' environments once; where runs differ, each value with its number of runs."""
    seen: dict[str, Counter[str]] = {}
    for run in study.runs:
        for key, value in flat(run.environment):
            seen.setdefault(key, Counter())[value] += 1
    return [
        (
            key,
            next(iter(values))
            if len(values) == 1
            else "; ".join(f"{value} ({counted(n, 'run')})" for value, n in values.most_common()),
        )
        for key, values in seen.items()
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as pairs of a name and a text."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            pairs += flat(value, f"{name} ")
        elif isinstance(value, list | tuple):
            pairs.append((name, ", ".join(map(str, value))))
        else:
            pairs.append((name, str(value)))
    return pairs


def _ranges(numbers: list[int]) -> str:
    """0, 1, 2, 5 as ``0 to 2, 5``."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(group[0]) if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in groups)


def _columns(first: str, *numbers: str) -> tuple[Column, ...]:
    return (Column(first, is_number=False), *(Column(title) for title in numbers))


def _row(*cells: str | Cell) -> tuple[Cell, ...]:
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells)


def _interval(low: float, high: float) -> str:
    return f"[{100 * low:.2f}, {100 * high:.2f}]"
