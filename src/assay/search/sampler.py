"""Optuna behind a search: it proposes values, from facts that our store keeps. Nothing of it is stored.

Random search, TPE and GP are asked anew for each candidate: a study of Optuna's is rebuilt from the scores that count,
and a sampler is seeded with the search's seed and the candidate's number. CMA-ES and NSGA-II keep a state from one
candidate to the next, so theirs is replayed from the first candidate on.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Problem, StoreError
from ..measures import is_higher_better
from ..spec.search import COSTS, Choice, Parameter, Range, Search, Value, is_active, rounded

if TYPE_CHECKING:
    import optuna

GENERATIONAL = ("cma-es", "nsga-ii")


@dataclass(frozen=True)
class Observed:
    """A trial and its objectives, in the order of the search's; ``None`` where it failed or has none yet."""

    chosen: Mapping[str, Value]
    values: tuple[float, ...] | None


@dataclass(frozen=True)
class Drawn:
    """A candidate that was drawn before: in which batch, whether it was trained, and whether at random.

    One that is under way was drawn for the batch that is being drawn now: a batch is cut where a search has its trials,
    and filled up when it is given more.
    """

    chosen: Mapping[str, Value]
    batch: int
    trial: int | None
    is_random: bool
    is_under_way: bool = False


def draw(space: Mapping[str, Parameter], generator: np.random.Generator) -> dict[str, Value]:
    """Values drawn uniformly (evenly over orders of magnitude where ``log``), without Optuna."""
    chosen: dict[str, Value] = {}
    for name, parameter in space.items():
        if is_active(parameter, chosen):
            chosen[name] = _drawn(parameter, generator)
    return chosen


def generator_of(search: Search, *counters: int) -> np.random.Generator:
    """Random numbers that depend on the search's seed and on where they are used."""
    return np.random.Generator(np.random.Philox(key=_key(search, *counters)))


class Proposer:
    """Proposes one candidate after another, for one batch.

    Args:
        search: The search.
        observed: Trials with what is known of them that may be used, in order.
        past: Every candidate so far, in order; samplers without a state look at those only that are under way.
        objectives: Of every trial in ``past`` that was trained, by number.
    """

    def __init__(
        self,
        search: Search,
        observed: Sequence[Observed],
        past: Sequence[Drawn] = (),
        objectives: Mapping[int, tuple[float, ...] | None] | None = None,
    ) -> None:
        self._search = search
        self._trial: optuna.Trial | None = None
        with quiet():
            if search.proposer in GENERATIONAL:
                self._study = self._replayed(past, objectives or {})
            else:
                self._study = rebuilt(search, observed)
        if search.proposer not in GENERATIONAL:
            for number, one in enumerate(past, start=1):
                if one.is_under_way and not one.is_random:
                    self.ask(number)
                    if one.trial is None:
                        self.reject()

    def ask(self, number: int) -> dict[str, Value]:
        """Values for the candidate with this number, counted from 1 over the whole search."""
        with quiet():
            if self._search.proposer not in GENERATIONAL:
                self._study.sampler = _sampler(self._search, _key(self._search, number) % 2**32)
            return self._ask(self._study)

    def reject(self) -> None:
        """The last candidate will not be trained."""
        import optuna

        if self._trial is not None:
            self._study.tell(self._trial, state=optuna.trial.TrialState.FAIL)

    def _ask(self, study: optuna.Study) -> dict[str, Value]:
        trial = self._trial = study.ask()
        chosen: dict[str, Value] = {}
        for name, parameter in self._search.space.items():
            if is_active(parameter, chosen):
                chosen[name] = _suggested(trial, name, parameter)
        return chosen

    def _replayed(self, past: Sequence[Drawn], objectives: Mapping[int, tuple[float, ...] | None]) -> optuna.Study:
        """The sampler's state after all of ``past``: asked again, and told batch by batch."""
        import optuna

        failed = optuna.trial.TrialState.FAIL
        study = _new(self._search, _sampler(self._search, _key(self._search) % 2**32))
        open_: list[tuple[optuna.Trial, int]] = []
        batch = 0

        def close() -> None:
            for trial, number in open_:
                values = objectives.get(number)
                study.tell(trial, state=failed) if values is None else study.tell(trial, list(values))
            open_.clear()

        for one in past:
            if one.batch != batch:
                close()
                batch = one.batch
            if one.is_random:
                continue
            if self._ask(study) != dict(one.chosen):
                what = f"Optuna {optuna.__version__} proposes other candidates than the version that began this search"
                raise StoreError(Problem(what, "install that version (the report names it) to go on"))
            assert self._trial is not None
            if one.trial is None:
                study.tell(self._trial, state=failed)
            else:
                open_.append((self._trial, one.trial))
        if not (past and past[-1].is_under_way):
            close()
        return study


def rebuilt(search: Search, observed: Sequence[Observed]) -> optuna.Study:
    """A study of Optuna's in memory that holds these trials."""
    import optuna

    study = _new(search, optuna.samplers.RandomSampler(seed=0))
    for one in observed:
        distributions = {name: _distribution(search.space[name]) for name in one.chosen}
        params = {name: _inside(search.space[name], value) for name, value in one.chosen.items()}
        state = optuna.trial.TrialState.FAIL if one.values is None else optuna.trial.TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(state=state, values=one.values, params=params, distributions=distributions)
        )
    return study


def _new(search: Search, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    import optuna

    up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
    directions = [up if name not in COSTS and is_higher_better(name) else down for name in search.objective]
    return optuna.create_study(sampler=sampler, directions=directions)


def _sampler(search: Search, seed: int) -> optuna.samplers.BaseSampler:
    from optuna import samplers

    match search.proposer:
        case "random":
            return samplers.RandomSampler(seed=seed)
        case "tpe":
            return samplers.TPESampler(seed=seed)
        case "gp":
            return samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        case "cma-es":
            size = max(4, search.batch)
            return samplers.CmaEsSampler(seed=seed, popsize=size, warn_independent_sampling=False)
        case "nsga-ii":
            return samplers.NSGAIISampler(seed=seed, population_size=max(2, search.batch))


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if isinstance(parameter, Choice):
        return distributions.CategoricalDistribution(list(parameter.levels))
    low, high = parameter.low, _last(parameter)
    if isinstance(low, int) and isinstance(high, int):
        step = int(parameter.step or 1)
        return distributions.IntDistribution(low, high, log=parameter.log, step=step)
    step_ = None if parameter.step is None else float(parameter.step)
    return distributions.FloatDistribution(float(low), float(high), log=parameter.log, step=step_)


def _suggested(trial: optuna.Trial, name: str, parameter: Parameter) -> Value:
    if isinstance(parameter, Choice):
        return str(trial.suggest_categorical(name, list(parameter.levels)))
    low, high, log = parameter.low, _last(parameter), parameter.log
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, step=int(parameter.step or 1), log=log)
    value = trial.suggest_float(name, low, high, step=parameter.step, log=log)
    return _inside(parameter, value, exact=False)


def _last(parameter: Range) -> int | float:
    """The highest value that steps from the lowest can reach."""
    if parameter.step is None:
        return parameter.high
    low, high, step = (Decimal(str(value)) for value in (parameter.low, parameter.high, parameter.step))
    return _after(parameter, int((high - low) // step))


def _after(parameter: Range, steps: int) -> int | float:
    """The value so many steps from the lowest, in decimals as Optuna has it: 0 and 3 steps of 0.1 are 0.3."""
    value = Decimal(str(parameter.low)) + steps * Decimal(str(parameter.step))
    return int(value) if parameter.is_whole else float(value)


def _inside(parameter: Parameter, value: Any, *, exact: bool = True) -> Value:
    """The value as it is stored; ``exact``, as Optuna's distribution has it."""
    if isinstance(parameter, Choice):
        return str(value)
    if parameter.is_whole:
        return int(value)
    if parameter.step is not None:
        number = float(_after(parameter, round((value - parameter.low) / parameter.step)))
        return number if exact else rounded(number)
    return min(max(rounded(float(value)), float(parameter.low)), float(parameter.high))


def _drawn(parameter: Parameter, generator: np.random.Generator) -> Value:
    if isinstance(parameter, Choice):
        return list(parameter.levels)[generator.integers(len(parameter.levels))]
    low, high = parameter.low, _last(parameter)
    if parameter.step is not None:
        steps = round((high - low) / parameter.step)
        return _inside(parameter, low + int(generator.integers(steps + 1)) * parameter.step, exact=False)
    if parameter.is_whole and not parameter.log:
        return int(generator.integers(int(low), int(high) + 1))
    if not parameter.log:
        return _inside(parameter, generator.uniform(low, high))
    room = 0.5 if parameter.is_whole else 0.0  # so that the ends are as likely as what lies between
    value = math.exp(generator.uniform(math.log(low - room), math.log(high + room)))
    return _inside(parameter, min(max(round(value), low), high) if parameter.is_whole else value)


def _key(search: Search, *counters: int) -> int:
    text = "/".join(map(str, ("assay search", search.seed, *counters)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its log and its warnings of experiments, and on one thread: its sums are the same everywhere."""
    import optuna
    import torch

    level, threads = optuna.logging.get_verbosity(), torch.get_num_threads()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
        torch.set_num_threads(threads)
