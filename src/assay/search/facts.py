"""From what the store holds of a search to scores, and from scores to what has been decided."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..errors import Problem, StoreError
from ..measures import is_higher_better
from ..spec import Arm, Study, Training
from ..spec.metric import RECORDED
from ..spec.search import COSTS, Search
from ..store import RunRecord, SearchRecord, StudyRecord, trial_name
from ..train.stopping import kept_epoch
from .halving import WHOLE, Design, Scores, Step, best, design_of, next_step
from .sampler import Observed

ENOUGH = 10  # trials at a rung, for proposals to learn from it


def search_of(study: Study) -> Search:
    """A study's search, where it is known to have one."""
    if study.search is None:
        raise ValueError(f"study {study.name} is no search")
    return study.search


def arm_of(study: Study, record: SearchRecord, trial: int) -> Arm:
    """What a trial trains."""
    return study.candidate(trial_name(trial), record.trials[trial].chosen)


def current_step(study: Study, record: SearchRecord) -> Step:
    """Where a search stands, replayed from its scores."""
    design = design_of(study)
    scores = scores_of(study, record, design)
    return next_step(design, len(record.trials), scores, is_exhausted=bool(record.facts.get("is_exhausted")))


def step_of(record: StudyRecord) -> Step:
    """The same from a study's record alone."""
    assert record.search is not None
    return current_step(record.design, record.search)


def scores_of(study: Study, record: SearchRecord, design: Design) -> dict[int, dict[int, float | None]]:
    """Every trial's score at every rung that it has reached: the mean over its runs, higher is better.

    A run's score after so many epochs is that of the epoch that it would keep of them. ``None`` where a run failed
    before.
    """
    search = search_of(study)
    runs: dict[str, dict[int, RunRecord]] = {}
    for run in record.runs:
        runs.setdefault(run.arm, {})[run.seed] = run
    by_trial: dict[int, dict[int, float | None]] = {}
    for trial in record.trials:
        replicates = [one for seed in search.seeds if (one := runs.get(trial_name(trial), {}).get(seed)) is not None]
        if len(replicates) < search.replicates:
            continue
        training = arm_of(study, record, trial).training
        for level in design.levels:
            scores = [run_score(run, training, search.metric, level) for run in replicates]
            if "unknown" not in scores:
                known = [score for score in scores if isinstance(score, float)]
                by_trial.setdefault(trial, {})[level] = sum(known) / len(known) if len(known) == len(scores) else None
    return by_trial


def run_score(run: RunRecord, training: Training, metric: str, epochs: int) -> float | str | None:
    """A run's score after so many epochs, higher is better; ``None`` if it failed before, ``"unknown"`` if it has not
    come so far."""
    is_whole = epochs == WHOLE or epochs >= training.planned_epochs
    if run.state == "finished" and (is_whole or len(run.epochs) < epochs):
        last = len(run.epochs)
    elif not is_whole and len(run.epochs) >= epochs:
        last = epochs
    else:
        return None if run.is_failed else "unknown"
    kept = run.epochs[kept_epoch(training, run.epochs[:last]) - 1]
    value = kept.value(metric)
    if metric not in RECORDED and (kept.measures is None or metric not in kept.measures):
        what = (
            f"run {run.id[:10]} of {run.arm} was trained before, and {metric} was not measured after each of its epochs"
        )
        raise StoreError(Problem(what, "run the search in a store of its own: assay run --store FOLDER"))
    if not math.isfinite(value):
        return None
    return value if is_higher_better(metric) else -value


def observed(study: Study, record: SearchRecord, seen: Scores) -> tuple[int | None, list[Observed]]:
    """What proposals may learn from: scores after as many epochs as enough trials have reached, or most of them have
    (Falkner et al. 2018, "BOHB", ICML). A trial that has come further was there too.

    Returns:
        The epochs, ``None`` where nothing is known yet, and the trials with what they scored there.
    """
    scores = scores_of(study, record, design_of(study))
    seen = {
        trial: {level: score for level, score in scores[trial].items() if depth(level) <= max(map(depth, levels))}
        for trial, levels in seen.items()
    }
    level = informative_level(seen)
    if level is None:
        return None, []
    return level, [
        Observed(record.trials[trial].chosen, objectives(study, record, trial, known[level]))
        for trial, known in sorted(seen.items())
        if level in known
    ]


def informative_level(seen: Scores) -> int | None:
    """The rung whose scores say most: the highest with enough of them, or else the fullest."""
    counts: dict[int, int] = {}
    for scores in seen.values():
        for level, score in scores.items():
            counts[level] = counts.get(level, 0) + (score is not None)
    if not counts:
        return None
    enough = [level for level, count in counts.items() if count >= ENOUGH]
    return max(enough, key=depth) if enough else max(counts, key=lambda level: (counts[level], depth(level)))


def depth(level: int) -> float:
    """A rung's epochs, for comparing: a whole run is the longest."""
    return math.inf if level == WHOLE else level


def objectives(study: Study, record: SearchRecord, trial: int, score: float | None) -> tuple[float, ...] | None:
    """A trial's objectives in the search's order, each in its own direction; ``None`` where it failed."""
    if score is None:
        return None
    search, costs = search_of(study), record.trials[trial].costs
    return tuple(
        costs[name] if name in costs else score if is_higher_better(name) else -score for name in search.objective
    )


def reached(step: Step, scores: Scores) -> dict[int, tuple[int, float | None]]:
    """By trial, the highest rung at which it has a score, and the score."""
    highest: dict[int, tuple[int, float | None]] = {}
    for rung in step.rungs:
        for trial in rung.trials:
            known = scores.get(trial, {})
            if rung.epochs in known and (trial not in highest or depth(rung.epochs) > depth(highest[trial][0])):
                highest[trial] = (rung.epochs, known[rung.epochs])
    return highest


def finalists(study: Study, record: SearchRecord, step: Step, scores: Scores) -> list[int]:
    """The trials that are to be trained anew, the best first.

    Those that came furthest go before all others, and among them the best score. Of several objectives, those of the
    Pareto front, the best by the first objective first.
    """
    search = search_of(study)
    highest = reached(step, scores)
    if len(search.objective) > 1:
        values = {t: objectives(study, record, t, score) for t, (_, score) in highest.items()}
        known = {trial: value for trial, value in values.items() if value is not None}
        front = pareto_front(known, [name not in COSTS and is_higher_better(name) for name in search.objective])
        return best({trial: highest[trial][1] for trial in front})[: search.finalists]
    levels = sorted({level for level, _ in highest.values()}, key=depth, reverse=True)
    ranked = [t for at in levels for t in best({t: score for t, (level, score) in highest.items() if level == at})]
    return ranked[: search.finalists]


def pareto_front(values: Mapping[int, Sequence[float]], is_higher_better: Sequence[bool]) -> list[int]:
    """The trials that no other trial beats or equals in every objective and beats in one."""
    turned = {
        trial: [one if up else -one for one, up in zip(value, is_higher_better, strict=True)]
        for trial, value in values.items()
    }

    def is_beaten(mine: Sequence[float]) -> bool:
        return any(
            all(a >= b for a, b in zip(other, mine, strict=True)) and list(other) != list(mine)
            for other in turned.values()
        )

    return [trial for trial, value in turned.items() if not is_beaten(value)]
