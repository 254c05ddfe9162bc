"""Runs of a tracker or tuner as scores: settings make arms, one of them is the seed, one metric is the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import DataError, Problem
from ..store.run_record import State
from .columns import SCORES, SEEDS, Names, arm_name, chosen
from .scores import Score, Scores

_NO_SETTING = ("fold", "data", "dataset", "epoch", "epochs_trained")


@dataclass(frozen=True)
class Tracked:
    """One run as its tracker has it.

    Args:
        id: Of the run, for messages.
        settings: Parameters and hyperparameters, as texts.
        metrics: The last value of each.
        state: What became of it.
        arm: The arm's name, where the run says it.
        attributes: What else is noted of it, such as tags: it may be the seed or, where the user names it, make an arm.
    """

    id: str
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    state: State = "finished"
    arm: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str]:
        """Attributes and settings."""
        return {**self.attributes, **self.settings}


@dataclass(frozen=True)
class Experiment:
    """Runs that were tracked together.

    Args:
        runs: In the order in which they began.
        source: For sentences: "MLflow experiment digits".
        name: Its name.
        notes: What was not taken over, as sentences with full stops.
        updated: When the last run changed, in seconds since 1970.
        directions: By metric, whether more of it is better, where the tracker says so.
        usual: Metrics that are the score unless the user names one, the best first.
    """

    runs: Sequence[Tracked]
    source: str
    name: str
    notes: tuple[str, ...] = ()
    updated: float = 0.0
    directions: Mapping[str, bool] = field(default_factory=dict)
    usual: tuple[str, ...] = SCORES


def scores_of(experiment: Experiment, names: Names) -> Scores:
    """An experiment's scores.

    An arm is what the user names; the arm that runs name themselves, as those that Assay logged do; or else all
    settings that differ between runs, without the seed.

    Raises:
        DataError: There are no runs, no seed, no score, or every run has settings of its own.
    """
    runs, source = experiment.runs, experiment.source
    if not runs:
        raise DataError(Problem("there are no runs", "name the folder that holds them", file=source))
    settings = list(dict.fromkeys(key for run in runs for key in run.settings))
    metrics = list(dict.fromkeys(key for run in runs for key in run.metrics))
    usual = experiment.usual if len(metrics) != 1 else tuple(metrics)
    score = chosen(names.score, usual, metrics, what="the score", option="--score", source=source)
    facts = list(dict.fromkeys([*settings, *(key for run in runs for key in run.attributes)]))
    seed = chosen(names.seed, SEEDS, facts, what="the seed", option="--seed", source=source)
    levels_of = _levels(runs, settings, seed, names, source)
    rows, notes = [], list(experiment.notes)
    unscored = 0
    for run, levels in zip(runs, levels_of, strict=True):
        if seed not in run.facts:
            what = f'run {run.id} has no "{seed}", which pairs runs'
            raise DataError(Problem(what, "log it with every run, or name another with --seed", file=source))
        if run.state == "finished" and score not in run.metrics:
            unscored += 1
            continue
        arm = run.arm if run.arm and not names.arm else arm_name(levels) or experiment.name
        if len(arm) > 120:
            what = f'an arm would be called "{arm[:60]}...", after {len(levels)} settings that differ'
            raise DataError(
                Problem(what, "name the settings that make an arm, such as --arm learning_rate", file=source)
            )
        rows.append(
            Score(
                arm, _whole(run, seed, source), run.metrics.get(score, float("nan")), f"run {run.id}",
                fold=_fold(run, source), state=run.state, metric=score, run=run.id, levels=levels,
            )
        )  # fmt: skip
    if unscored:
        notes.append(
            f'{unscored} finished {"run has" if unscored == 1 else "runs have"} no "{score}" and no part in this.'
        )
    arms = {row.arm for row in rows}
    if len(arms) == len(rows) > 2 and not names.arm:
        differ = ", ".join(levels_of[0]) or "their names"
        what = f"each of {len(rows)} runs is an arm of its own, by {differ}"
        fix = "name the settings that make an arm, such as --arm learning_rate, and give each arm several seeds"
        raise DataError(Problem(what, fix, file=source))
    return Scores(
        tuple(rows), source, experiment.name, tuple(notes), experiment.updated, directions=experiment.directions
    )


def _levels(
    runs: Sequence[Tracked], settings: Sequence[str], seed: str, names: Names, source: str
) -> list[dict[str, str]]:
    """By run, what makes its arm."""
    if names.arm:
        for name in names.arm:
            known = list(dict.fromkeys(key for run in runs for key in run.facts))
            chosen(name, (), known, what="the arm", option="--arm", source=source)
        return [{key: run.facts.get(key, "none") for key in names.arm} for run in runs]
    factors = [key for key in settings if key.startswith("factor.")]
    if all(run.arm for run in runs):
        return [
            {key.removeprefix("factor."): run.settings[key] for key in factors if key in run.settings} for run in runs
        ]
    if "arm" in settings:
        return [{"arm": run.settings.get("arm", "none")} for run in runs]
    aside = {seed, *_NO_SETTING}
    differing = [key for key in settings if key not in aside and len({run.settings.get(key) for run in runs}) > 1]
    return [{key: run.settings.get(key, "none") for key in differing} for run in runs]


def _whole(run: Tracked, name: str, source: str) -> int:
    try:
        number = float(run.facts[name])
    except ValueError:
        number = -1.0
    if number < 0 or number != int(number):
        what = f'the {name} of run {run.id} is "{run.facts[name]}"'
        raise DataError(Problem(what, "give each run a whole number that pairs it with the other arms'", file=source))
    return int(number)


def _fold(run: Tracked, source: str) -> int | None:
    return _whole(run, "fold", source) if run.facts.get("fold", "") not in ("", "None") else None
