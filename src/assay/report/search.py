"""A search for people: its sentences and its tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..analysis.numbers import counted, flops, percent, points, seconds, significant, whole
from ..search import WHOLE, Found, Outcome, best_study, found_in
from ..store.records import StudyRecord, trial_name
from .palette import arm_styles
from .tables import Cell, Column, Table


def search_sentences(study: StudyRecord) -> tuple[str, ...]:
    """What a search has done and found so far, without full stops."""
    assert study.search is not None
    found, facts = found_in(study), study.search.facts
    told = [_progress(found, len(study.search.candidates))]
    if facts.get("is_exhausted"):
        told.append("The space holds no more candidates than these")
    if facts.get("flops_per_second"):
        speed = flops(int(facts["flops_per_second"]))
        told.append(f"Seconds are estimated: three forward passes of FLOPs an image, at {speed} a second as measured")
    saved = found.saved
    if saved.epochs and saved.epochs < saved.whole_epochs:
        times = saved.whole_seconds / saved.seconds if saved.seconds else 1.0
        most = "at most " if found.may_stop_early else ""
        told.append(
            f"It trained {saved.epochs:,} epochs in {seconds(saved.seconds)}; training every trial to its end would "
            f"have taken {most}{saved.whole_epochs:,} epochs, about {seconds(saved.whole_seconds)}: {times:.1f} times "
            "as long"
        )
    told += [sentence for one in found.optimism[:1] if (sentence := _luck(found, one.arm))]
    return tuple(told)


def _progress(found: Found, num_drawn: int) -> str:
    trials = len(found.outcomes)
    ended = sum(one.score is not None for one in found.outcomes)
    state = "Done" if found.step.is_over else "Under way"
    told = f"{state}: {counted(trials, 'trial')}, {ended} with a score"
    if found.rejected:
        reasons = ", ".join(f"{count:,} {kind}" for kind, count in found.rejected.items())
        told += f"; {counted(num_drawn, 'candidate')} drawn, {sum(found.rejected.values()):,} never trained ({reasons})"
    failed = {trial for rung in found.step.rungs for trial in rung.failed}
    return told + (f"; {counted(len(failed), 'trial')} failed" if failed else "")


def _luck(found: Found, arm: str) -> str:
    one = next(one for one in found.optimism if one.arm == arm)
    if one.fresh is None or one.luck is None:
        return ""
    after = "" if one.epochs == WHOLE else f" after {counted(one.epochs, 'epoch')}"
    interval = f" {_range(found, one.interval.low, one.interval.high)}" if one.interval else ""
    sign = 1 if found.metric.endswith("accuracy") else -1
    luck = f"{_difference(found, one.luck)} of optimism"
    if sign * one.luck <= 0:
        luck = f"it was not too good ({_difference(found, one.luck)})"
    return (
        f"The search saw {_score(found, one.found)} for its first choice, {arm}{after}; with {one.n} fresh seeds it is "
        f"{_score(found, one.fresh)}{interval}: {luck}"
    )


def search_values(study: StudyRecord) -> dict[str, Any]:
    """A search as plain values, for JSON."""
    assert study.search is not None
    found = found_in(study)
    best = best_study(found)
    return {
        "is_over": found.step.is_over,
        "metric": found.metric,
        "trials": [asdict(one) for one in found.outcomes],
        "rejected": found.rejected,
        "rungs": [asdict(rung) for rung in found.step.rungs],
        "saved": asdict(found.saved),
        "optimism": [{**asdict(one), "luck": one.luck} for one in found.optimism],
        "best": found.best,
        "best_study": None if best is None else best.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
    }


def rungs_table(found: Found) -> Table:
    """Every rung of every bracket: epochs, trials, promoted, failed, best score."""
    scores = {(one.trial, one.epochs): one.score for one in found.outcomes}
    rows = []
    for rung in found.step.rungs:
        ended = [score for trial in rung.trials if (score := scores.get((trial, rung.epochs))) is not None]
        sign = 1 if found.metric.endswith("accuracy") else -1
        left = max((sign * score for score in ended), default=None)
        rows.append(
            (
                Cell(str(rung.bracket)),
                Cell(epochs_text(rung.epochs)),
                Cell(str(len(rung.trials))),
                Cell(str(len(rung.promoted)) if rung.is_full else "not yet"),
                Cell(str(len(rung.failed))),
                Cell("–" if left is None else _score(found, sign * left)),
            )
        )
    what = "batch" if all(rung.epochs == WHOLE for rung in found.step.rungs) else "bracket"
    titles = ("epochs", "trials", "promoted", "failed", "best that ended here")
    columns = (Column(what, is_number=False), *(Column(title) for title in titles))
    return Table(f"Rungs of each {what}: who was trained how far.", columns, tuple(rows))


def optimism_table(study: StudyRecord, found: Found) -> Table:
    """Every finalist: the search's score beside the mean over fresh seeds."""
    styles = arm_styles(study)
    rows = []
    for one in found.optimism:
        interval = "needs 2 seeds" if one.interval is None else _range(found, one.interval.low, one.interval.high)
        rows.append(
            (
                Cell(one.arm, styles.get(one.arm)),
                Cell(_score(found, one.found)),
                Cell(epochs_text(one.epochs)),
                Cell("–" if one.fresh is None else _score(found, one.fresh)),
                Cell(interval),
                Cell(str(one.n)),
                Cell("–" if one.luck is None else _difference(found, one.luck)),
            )
        )
    titles = ("in the search", "after epochs", "fresh mean", "95 % interval", "n", "optimism")
    columns = (Column("finalist", is_number=False), *(Column(title) for title in titles))
    metric = found.metric.replace("_", " ")
    return Table(f"Finalists: {metric} in the search, and with fresh seeds.", columns, tuple(rows))


def trials_table(found: Found, *, under_way: StudyRecord | None = None) -> Table:
    """Every trial with its values, costs and score, the best first.

    Args:
        found: The search, worked out.
        under_way: Its record, for columns that say where each trial stands now: its last rung, and its state.
    """
    places = {} if under_way is None else {one.trial: _place(found, one.trial) for one in found.outcomes}
    states = {} if under_way is None else {one.trial: _state(under_way, found, one.trial) for one in found.outcomes}
    names = list(found.study.search.space) if found.study.search else []
    sign = 1 if found.metric.endswith("accuracy") else -1

    def order(one: Outcome) -> tuple[bool, float, float, int]:
        reached = float("inf") if one.epochs == WHOLE else float(one.epochs or 0)
        return (one.score is None, -reached, -sign * (one.score or 0.0), one.trial)

    rows = tuple(
        (
            Cell(one.name),
            *([Cell(states[one.trial]), Cell(places[one.trial])] if under_way else []),
            *(Cell(_value(one.chosen.get(name))) for name in names),
            Cell(whole(one.parameters)),
            Cell(flops(one.flops)),
            Cell("–" if one.epochs is None else epochs_text(one.epochs)),
            Cell("–" if one.score is None else _score(found, one.score)),
        )
        for one in sorted(found.outcomes, key=order)
    )
    titles = (*names, "parameters", "FLOPs per image", "epochs", found.metric.replace("_", " "))
    now = ("state", "rung") if under_way else ()
    columns = (*(Column(title, is_number=False) for title in ("trial", *now)), *(Column(title) for title in titles))
    return Table(f"All {counted(len(rows), 'trial')}, those that came furthest first.", columns, rows)


def _place(found: Found, trial: int) -> str:
    """The last rung that a trial is in, counted within its bracket."""
    mine = [rung for rung in found.step.rungs if trial in rung.trials]
    if not mine:
        return "–"
    last = mine[-1]
    if all(rung.epochs == WHOLE for rung in found.step.rungs):
        return f"batch {last.bracket}"
    same = [rung.epochs for rung in found.step.rungs if rung.bracket == last.bracket]
    return f"{same.index(last.epochs) + 1} of bracket {last.bracket}"


def _state(study: StudyRecord, found: Found, trial: int) -> str:
    """What a trial does now, or how it ended."""
    assert study.search is not None
    runs = study.search.runs_of(trial)
    failed = next((run.state for run in runs if run.is_failed), None)
    if failed:
        return failed
    if any(run.state == "running" for run in runs):
        return f"training, epoch {min(len(run.epochs) for run in runs) + 1}"
    mine = [rung for rung in found.step.rungs if trial in rung.trials]
    if any(one == trial for one, _ in found.step.jobs):
        return "promoted" if len(mine) > 1 else "waiting"
    if trial_name(trial) in {arm.name for arm in study.arms}:
        return "finalist"
    is_finished = bool(runs) and all(run.state == "finished" for run in runs)
    halving = found.study.search.halving if found.study.search else None
    if halving is not None and halving.method == "asha" and not found.step.is_over:  # no rung is ever closed
        return "finished" if is_finished else "may go on"
    if mine and not mine[-1].is_full:
        return "waits for its rung"
    return "finished" if is_finished else "stopped"


def epochs_text(epochs: int) -> str:
    return "all" if epochs == WHOLE else str(epochs)


def _value(value: int | float | str | None) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _score(found: Found, score: float) -> str:
    return percent(score) if found.metric.endswith("accuracy") else significant(score)


def _range(found: Found, low: float, high: float) -> str:
    if found.metric.endswith("accuracy"):
        return f"[{100 * low:.2f}, {100 * high:.2f}]"
    return f"[{significant(low)}, {significant(high)}]"


def _difference(found: Found, difference: float) -> str:
    if found.metric.endswith("accuracy"):
        return f"{points(difference)} points"
    return f"{difference:+.3g} nats"
