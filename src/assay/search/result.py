"""The result of a search, from its record alone: what it spent, how lucky its best trials were, and the best arm."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from ..analysis.scores import kept_value, metric_interval, validates_on_same_images
from ..extras import needed
from ..measures import is_higher_better
from ..spec import Network, Study, plain
from ..spec.search import FRESH, needs_program
from ..stats import Interval
from ..store import StudyRecord, trial_name
from .facts import observed, pareto_front, reached, scores_of, search_of
from .halving import WHOLE, Scores, Step, design_of, next_step
from .sampler import Observed

MIN_TRIALS = 10  # for importances


@dataclass(frozen=True)
class Outcome:
    """A trial of a search with its score.

    Args:
        trial: Its number.
        chosen: Values by parameter.
        parameters: The network's parameters, Keras's total.
        flops: FLOPs for one image, forward.
        epochs: The epochs of the highest rung at which it has a score: 0 for all, ``None`` if it has none.
        score: The validation metric there; ``None`` if it failed.
        program_costs: Costs of its C export by name, if the search limits or optimizes them.
    """

    trial: int
    chosen: dict[str, int | float | str]
    parameters: int
    flops: int
    epochs: int | None
    score: float | None
    program_costs: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """Its name, such as ``"trial 7"``."""
        return trial_name(self.trial)


@dataclass(frozen=True)
class Optimism:
    """How much better a finalist scored in the search than with fresh seeds.

    If fresh seeds are scored on the images that the search chose by, their mean is still optimistic.

    Args:
        arm: The finalist's name.
        epochs: The epochs after which the search scored it.
        search_score: The score in the search.
        fresh: The mean score with fresh seeds; ``None`` before the first.
        interval: Its 95 % interval; ``None`` below two seeds.
        n: Fresh seeds.
        failed: Runs with fresh seeds that failed. The mean leaves them out.
        is_on_same_images: Whether fresh seeds are scored on the validation images that the search chose by.
    """

    arm: str
    epochs: int
    search_score: float
    fresh: float | None
    interval: Interval | None
    n: int
    failed: int = 0
    is_on_same_images: bool = False

    @property
    def difference(self) -> float | None:
        """The score in the search minus the mean with fresh seeds."""
        return None if self.fresh is None else self.search_score - self.fresh

    @property
    def luck(self) -> float | None:
        """The difference, if fresh seeds are scored on other images; else ``None``."""
        return None if self.is_on_same_images else self.difference


@dataclass(frozen=True)
class Saved:
    """What halving saved, compared with training every trial to its end. Saved seconds are estimated from FLOPs.

    Args:
        num_trials: Trials.
        epochs: Epochs that were trained.
        whole_epochs: Epochs without halving.
        seconds: Seconds that were spent.
        whole_seconds: Estimated seconds without halving.
    """

    num_trials: int
    epochs: int
    whole_epochs: int
    seconds: float
    whole_seconds: float


@dataclass(frozen=True)
class SearchResult:
    """The result of a search, as :meth:`assay.Result.search` returns it.

    Args:
        study: The study.
        metric: The metric that trials are ranked by.
        step: The state of the search.
        outcomes: Every trial.
        optimism: Every finalist.
        saved: What halving saved.
        rejected: The number of candidates that were not trained, by reason.
        observed: Comparable scores at one rung, for the importance of parameters.
        observed_epochs: That rung's epochs.
    """

    study: Study
    metric: str
    step: Step
    outcomes: tuple[Outcome, ...]
    optimism: tuple[Optimism, ...]
    saved: Saved
    rejected: dict[str, int]
    observed: tuple[Observed, ...]
    observed_epochs: int | None

    @property
    def front(self) -> tuple[Outcome, ...]:
        """The Pareto front of score and parameters among the trials trained longest, smallest network first."""
        furthest = max((depth for one in self.outcomes if (depth := _depth(one)) is not None), default=None)
        known = {one.trial: one for one in self.outcomes if one.score is not None and _depth(one) == furthest}
        values = {trial: (one.score or 0.0, one.parameters) for trial, one in known.items()}
        chosen = pareto_front(values, [is_higher_better(self.metric), False])
        return tuple(sorted((known[trial] for trial in chosen), key=lambda one: (one.parameters, one.trial)))

    @property
    def best(self) -> str | None:
        """The finalist with the best mean over fresh seeds; ``None`` before there is one."""
        known = [one for one in self.optimism if one.fresh is not None]
        sign = 1 if is_higher_better(self.metric) else -1
        return max(known, key=lambda one: (one.failed <= one.n, sign * (one.fresh or 0.0))).arm if known else None

    @property
    def may_stop_early(self) -> bool:
        """Whether early stopping may end a trial before its last epoch."""
        return bool(self.study.training.get("early_stopping", "none") != "none")


def result_of_search(record: StudyRecord) -> SearchResult:
    """Everything that a search's record says.

    Raises:
        ValueError: The study is no search.
    """
    study, search = record.design, record.search
    if search is None:
        raise ValueError(f"study {record.name} is no search")
    metric, design = search_of(study).metric, design_of(study)
    scores = scores_of(study, search, design)
    step = next_step(design, len(search.trials), scores, is_exhausted=bool(search.facts.get("is_exhausted")))
    sign = 1 if is_higher_better(metric) else -1
    ends = reached(step, scores)
    outcomes = []
    for trial, one in search.trials.items():
        epochs, score = ends.get(trial, (None, None))
        parameters, flops = int(one.costs["parameters"]), int(one.costs["flops"])
        shown = None if score is None else sign * score
        costs = tuple((name, cost) for name, cost in one.costs.items() if needs_program(name))
        outcomes.append(Outcome(trial, dict(one.chosen), parameters, flops, epochs, shown, costs))
    level, known = observed(study, search, _comparable(step, scores))
    return SearchResult(
        study,
        metric,
        step,
        tuple(outcomes),
        tuple(luck for arm in record.arms if (luck := _optimism(record, arm.name, outcomes, metric)) is not None),
        _saved(record, outcomes),
        _rejected(record),
        tuple(known),
        level,
    )


def _depth(one: Outcome) -> float | None:
    return None if one.epochs is None else math.inf if one.epochs == WHOLE else float(one.epochs)


def _comparable(step: Step, scores: Scores) -> dict[int, dict[int, float | None]]:
    """The scores of all rungs that the search has reached."""
    seen: dict[int, dict[int, float | None]] = {}
    for rung in step.rungs:
        for trial in rung.trials:
            if rung.epochs in scores.get(trial, {}):
                seen.setdefault(trial, {})[rung.epochs] = scores[trial][rung.epochs]
    return seen


def _optimism(record: StudyRecord, arm: str, outcomes: list[Outcome], metric: str) -> Optimism | None:
    one = next((one for one in outcomes if one.name == arm), None)
    if one is None or one.score is None or one.epochs is None:
        return None
    values = [kept_value(run, metric) for run in record.runs_of(arm)]
    fresh = [value for value in values if value is not None]
    interval = metric_interval(fresh, metric) if len(fresh) > 1 else None
    mean = statistics.fmean(fresh) if fresh else None
    failed = sum(run.is_failed for run in record.runs_of(arm))
    is_reused = validates_on_same_images(record)
    return Optimism(arm, one.epochs, one.score, mean, interval, len(fresh), failed, is_reused)


def _saved(record: StudyRecord, outcomes: list[Outcome]) -> Saved:
    assert record.search is not None
    flops = {one.name: one.flops for one in outcomes}
    runs = {run.id: run for run in record.search.runs if run.epochs}
    rates = [epoch.seconds / flops[run.arm] for run in runs.values() for epoch in run.epochs]
    rate = statistics.median(rates) if rates else 0.0  # a first epoch may hold the making of kernels
    epochs = missing = 0
    seconds = lacking = 0.0
    for run in runs.values():
        is_over = run.state == "finished" or run.is_failed
        left = 0 if is_over else run.epochs_planned - len(run.epochs)
        epochs, missing = epochs + len(run.epochs), missing + left
        seconds, lacking = seconds + sum(epoch.seconds for epoch in run.epochs), lacking + left * rate * flops[run.arm]
    return Saved(len({run.arm for run in runs.values()}), epochs, epochs + missing, seconds, seconds + lacking)


def _rejected(record: StudyRecord) -> dict[str, int]:
    assert record.search is not None
    counts = {"over budget": 0, "cannot be built": 0, "drawn before": 0}
    for one in record.search.candidates:
        if one.trial is None:
            kinds = [kind for kind in counts if one.reason.startswith(kind)]
            counts[kinds[0] if kinds else "over budget"] += 1
    return {kind: count for kind, count in counts.items() if count}


def best_study(result: SearchResult) -> Study | None:
    """The best finalist as a study of its own; ``None`` before one has a score."""
    if result.best is None:
        return None
    trial = next(one for one in result.outcomes if one.name == result.best)
    return study_of(result.study, trial)


def study_of(study: Study, one: Outcome) -> Study:
    """A trial as a study of its own, without placeholders, on seeds that it was not chosen by."""
    arm = study.candidate(one.name, one.chosen)
    base = None if arm.base is None else arm.base.model_dump(mode="json", exclude_none=True)
    training = arm.training.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    question = f"How good is {one.name} of the search {study.name}?"
    values = ", ".join(f"{name} {value}" for name, value in one.chosen.items())
    return study.model_copy(
        update={
            "name": f"{study.name}-best"[:80],
            "question": f"{question} ({values})",
            "network": Network(layers=tuple(plain(list(arm.layers))), base=base),
            "training": {"epochs": arm.training.epochs, **training},
            "arms": (),
            "search": None,
            "seeds": study.seeds.model_copy(update={"start": study.first_fresh_seed + FRESH}),
        }
    )


def importances(result: SearchResult) -> dict[str, float]:
    """How much of the score's variation each parameter explains, by functional ANOVA; empty where too little is known.

    Only parameters that every trial has take part, and at least ``MIN_TRIALS`` trials whose scores differ.

    Source: Hutter, Hoos and Leyton-Brown (2014), "An efficient approach for assessing hyperparameter importance", ICML;
    Optuna's ``FanovaImportanceEvaluator``.
    """
    optuna = needed("optuna", "Searches")

    from .sampler import quiet, rebuilt

    known = [one for one in result.observed if one.values is not None]
    search = search_of(result.study)
    scores = {one.values[0] for one in known if one.values is not None}
    shared = [name for name in search.space if all(name in one.chosen for one in known)]
    varied = [name for name in shared if len({one.chosen[name] for one in known}) > 1]
    if len(known) < MIN_TRIALS or len(scores) < 2 or not varied:
        return {}
    with quiet():
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        shares = optuna.importance.get_param_importances(
            rebuilt(search, known),
            evaluator=evaluator,
            params=varied,
            target=lambda trial: trial.values[0],
        )
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
