"""Sentences and tables of a search."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..measures import PERCENT, is_higher_better, is_share
from ..numerals import counted, flops, percent, points, seconds, significant, whole
from ..search import WHOLE, Outcome, SearchResult, best_study, result_of_search
from ..store.records import StudyRecord, trial_name
from .palette import arm_styles
from .tables import Cell, Column, Table

_REUSED = (
    "Fresh seeds are scored on the validation images of the choice, so these scores are still too good, by an amount "
    "that only other images show: give each seed a validation split of its own (validation = 0.2), or reveal the test "
    "split, once"
)


def search_sentences(study: StudyRecord) -> tuple[str, ...]:
    """The progress and results of a search, as sentences without full stops."""
    assert study.search is not None
    result, facts = result_of_search(study), study.search.facts
    sentences = [_progress(result, len(study.search.candidates))]
    if facts.get("is_exhausted"):
        sentences.append("The space holds no more candidates than these")
    if facts.get("flops_per_second"):
        speed = flops(int(facts["flops_per_second"]))
        sentences.append(
            f"Seconds are estimated: three forward passes of FLOPs an image, at {speed} a second as measured"
        )
    saved = result.saved
    if saved.epochs and saved.epochs < saved.whole_epochs:
        times = saved.whole_seconds / saved.seconds if saved.seconds else 1.0
        most = "at most " if result.may_stop_early else ""
        sentences.append(
            f"It trained {counted(saved.epochs, 'epoch')} in {seconds(saved.seconds)}; training every trial to "
            "its end would "
            f"have taken {most}{counted(saved.whole_epochs, 'epoch')}, about {seconds(saved.whole_seconds)}: "
            f"{times:.1f} times "
            "as long"
        )
    sentences += [sentence for finalist in result.optimism[:1] if (sentence := _luck(result, finalist.arm))]
    return tuple(sentences)


def _progress(result: SearchResult, num_drawn: int) -> str:
    trials = len(result.outcomes)
    ended = sum(outcome.score is not None for outcome in result.outcomes)
    state = "Done" if result.step.is_over else "Under way"
    text = f"{state}: {counted(trials, 'trial')}, {ended} with a score"
    if result.rejected:
        reasons = ", ".join(f"{count:,} {kind}" for kind, count in result.rejected.items())
        text += (
            f"; {counted(num_drawn, 'candidate')} drawn, {sum(result.rejected.values()):,} never trained ({reasons})"
        )
    failed = {trial for rung in result.step.rungs for trial in rung.failed}
    return text + (f"; {counted(len(failed), 'trial')} failed" if failed else "")


def _luck(result: SearchResult, arm: str) -> str:
    finalist = next(finalist for finalist in result.optimism if finalist.arm == arm)
    if finalist.fresh is None or finalist.difference is None:
        return ""
    after = "" if finalist.epochs == WHOLE else f" after {counted(finalist.epochs, 'epoch')}"
    interval = f" {_range(result, finalist.interval.low, finalist.interval.high)}" if finalist.interval else ""
    sign = 1 if is_higher_better(result.metric) else -1
    if finalist.is_on_same_images:
        seeds = f"{_difference(result, finalist.difference)} were luck of the seed"
        luck = f"{seeds if sign * finalist.difference > 0 else 'its seed was not a lucky one'}. {_REUSED}"
    elif sign * finalist.difference <= 0:
        luck = f"it was not too good ({_difference(result, finalist.difference)})"
    else:
        luck = f"{_difference(result, finalist.difference)} of optimism"
    return (
        f"The search saw {_score(result, finalist.search_score)} for its first choice, {arm}{after}; "
        f"with {finalist.n} fresh seeds it is {_score(result, finalist.fresh)}{interval}: {luck}"
    )


def search_values(study: StudyRecord) -> dict[str, Any]:
    """A search as plain values, for JSON."""
    assert study.search is not None
    result = result_of_search(study)
    best = best_study(result)
    return {
        "is_over": result.step.is_over,
        "metric": result.metric,
        "trials": [asdict(item) for item in result.outcomes],
        "rejected": result.rejected,
        "rungs": [asdict(rung) for rung in result.step.rungs],
        "saved": asdict(result.saved),
        "optimism": [{**asdict(item), "difference": item.difference, "luck": item.luck} for item in result.optimism],
        "best": result.best,
        "best_study": None if best is None else best.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
    }


def rungs_table(result: SearchResult) -> Table:
    """Every rung of every bracket: epochs, trials, promoted, failed, best score."""
    scores = {(outcome.trial, outcome.epochs): outcome.score for outcome in result.outcomes}
    rows = []
    for rung in result.step.rungs:
        ended = [score for trial in rung.trials if (score := scores.get((trial, rung.epochs))) is not None]
        sign = 1 if is_higher_better(result.metric) else -1
        best = max((sign * score for score in ended), default=None)
        rows.append(
            (
                Cell(str(rung.bracket)),
                Cell(epochs_text(rung.epochs)),
                Cell(str(len(rung.trials))),
                Cell(str(len(rung.promoted)) if rung.is_full else "not yet"),
                Cell(str(len(rung.failed))),
                Cell("–" if best is None else _score(result, sign * best)),
            )
        )
    grouping = "batch" if all(rung.epochs == WHOLE for rung in result.step.rungs) else "bracket"
    titles = ("epochs", "trials", "promoted", "failed", "best that ended here")
    columns = (Column(grouping, is_number=False), *(Column(title) for title in titles))
    return Table(f"Rungs of each {grouping}: how far trials were trained.", columns, tuple(rows))


def optimism_table(study: StudyRecord, result: SearchResult) -> Table:
    """Every finalist: the search's score beside the mean over fresh seeds."""
    styles = arm_styles(study)
    rows = []
    for finalist in result.optimism:
        interval = (
            "needs 2 seeds"
            if finalist.interval is None
            else _range(result, finalist.interval.low, finalist.interval.high)
        )
        rows.append(
            (
                Cell(finalist.arm, styles.get(finalist.arm)),
                Cell(_score(result, finalist.search_score)),
                Cell(epochs_text(finalist.epochs)),
                Cell("–" if finalist.fresh is None else _score(result, finalist.fresh)),
                Cell(interval),
                Cell(str(finalist.n)),
                Cell("–" if finalist.difference is None else _difference(result, finalist.difference)),
            )
        )
    is_reused = any(finalist.is_on_same_images for finalist in result.optimism)
    last = "luck of the seed" if is_reused else "optimism"
    titles = ("in the search", "after epochs", "fresh mean", "95 % interval", "n", last)
    columns = (Column("finalist", is_number=False), *(Column(title) for title in titles))
    metric = result.metric.replace("_", " ")
    caption = f"Finalists: {metric} in the search, and with fresh seeds."
    return Table(f"{caption} {_REUSED}." if is_reused else caption, columns, tuple(rows))


def trials_table(result: SearchResult, *, under_way: StudyRecord | None = None) -> Table:
    """Every trial with its values, costs and score, the best first.

    Args:
        result: The result of the search.
        under_way: Its record, for columns that say where each trial stands now: its last rung, and its state.
    """
    places = {} if under_way is None else {outcome.trial: _place(result, outcome.trial) for outcome in result.outcomes}
    states = (
        {}
        if under_way is None
        else {outcome.trial: _state(under_way, result, outcome.trial) for outcome in result.outcomes}
    )
    names = list(result.study.search.space) if result.study.search else []
    sign = 1 if is_higher_better(result.metric) else -1

    def order(outcome: Outcome) -> tuple[bool, float, float, int]:
        reached = float("inf") if outcome.epochs == WHOLE else float(outcome.epochs or 0)
        return (outcome.score is None, -reached, -sign * (outcome.score or 0.0), outcome.trial)

    rows = tuple(
        (
            Cell(outcome.name),
            *([Cell(states[outcome.trial]), Cell(places[outcome.trial])] if under_way else []),
            *(Cell(_value(outcome.chosen.get(name))) for name in names),
            Cell(whole(outcome.parameters)),
            Cell(flops(outcome.flops)),
            Cell("–" if outcome.epochs is None else epochs_text(outcome.epochs)),
            Cell("–" if outcome.score is None else _score(result, outcome.score)),
        )
        for outcome in sorted(result.outcomes, key=order)
    )
    titles = (*names, "parameters", "FLOPs per image", "epochs", result.metric.replace("_", " "))
    now = ("state", "rung") if under_way else ()
    columns = (*(Column(title, is_number=False) for title in ("trial", *now)), *(Column(title) for title in titles))
    return Table(f"All {counted(len(rows), 'trial')}, those that came furthest first.", columns, rows)


def _place(result: SearchResult, trial: int) -> str:
    """The last rung that a trial is in, counted within its bracket."""
    mine = [rung for rung in result.step.rungs if trial in rung.trials]
    if not mine:
        return "–"
    last = mine[-1]
    if all(rung.epochs == WHOLE for rung in result.step.rungs):
        return f"batch {last.bracket}"
    same = [rung.epochs for rung in result.step.rungs if rung.bracket == last.bracket]
    return f"{same.index(last.epochs) + 1} of bracket {last.bracket}"


def _state(study: StudyRecord, result: SearchResult, trial: int) -> str:
    """A trial's current state, or how it ended."""
    assert study.search is not None
    runs = study.search.runs_of(trial)
    failed = next((run.state for run in runs if run.is_failed), None)
    if failed:
        return failed
    if any(run.state == "running" for run in runs):
        return f"training, epoch {min(len(run.epochs) for run in runs) + 1}"
    mine = [rung for rung in result.step.rungs if trial in rung.trials]
    if any(job_trial == trial for job_trial, _ in result.step.jobs):
        return "promoted" if len(mine) > 1 else "waiting"
    if trial_name(trial) in {arm.name for arm in study.arms}:
        return "finalist"
    is_finished = bool(runs) and all(run.state == "finished" for run in runs)
    halving = result.study.search.halving if result.study.search else None
    if halving is not None and halving.method == "asha" and not result.step.is_over:  # no rung is ever closed
        return "finished" if is_finished else "may go on"
    if mine and not mine[-1].is_full:
        return "waits for its rung"
    return "finished" if is_finished else "stopped"


def epochs_text(epochs: int) -> str:
    return "all" if epochs == WHOLE else str(epochs)


def _value(value: int | float | str | None) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _score(result: SearchResult, score: float) -> str:
    return percent(score) if is_share(result.metric) else significant(score)


def _range(result: SearchResult, low: float, high: float) -> str:
    if is_share(result.metric):
        return PERCENT.interval(low, high)
    return f"[{significant(low)}, {significant(high)}]"


def _difference(result: SearchResult, difference: float) -> str:
    if is_share(result.metric):
        return f"{points(difference)} points"
    unit = " nats" if result.metric.endswith("loss") else ""
    return f"{'+' if difference > 0 else ''}{significant(difference)}{unit}"
