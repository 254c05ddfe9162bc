"""Who is trained how far: successive halving, Hyperband and ASHA as pure functions of scores.

The same scores give the same decisions, whenever and however often they are asked for: nothing is kept between calls.

Sources: Jamieson and Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization";
Li et al. (2018), "Hyperband", JMLR 18(185), algorithm 1; Li et al. (2020), "A system for massively parallel
hyperparameter tuning", MLSys, algorithm 2 (ASHA).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..spec import Study
from ..spec.search import Search

WHOLE = 0  # epochs of a rung that trains runs to their end

Scores: TypeAlias = Mapping[int, Mapping[int, float | None]]  # by trial and epochs, higher is better; None: it failed


@dataclass(frozen=True)
class Bracket:
    """How many trials are trained to how many epochs, rung by rung."""

    sizes: tuple[int, ...]
    epochs: tuple[int, ...]


@dataclass(frozen=True)
class Rung:
    """What has become of a rung.

    Args:
        bracket: Counted from 1.
        epochs: That its trials are trained for; ``WHOLE`` for all.
        trials: That have reached it or are on their way, by number.
        promoted: Of these, those that go on, the best first.
        failed: Of these, those without a score.
        is_full: Whether it waits for no score.
    """

    bracket: int
    epochs: int
    trials: tuple[int, ...]
    promoted: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    is_full: bool = True


@dataclass(frozen=True)
class Step:
    """What a search should do now.

    Args:
        num_trials: Trials that there should be; where some are missing, they are to be proposed before all else.
        seen: The scores that the missing ones may be proposed from.
        jobs: (trial, epochs) to be trained now.
        rungs: Every rung so far, by bracket.
        is_over: Whether nothing is left to do.
    """

    num_trials: int
    seen: Scores
    jobs: tuple[tuple[int, int], ...] = ()
    rungs: tuple[Rung, ...] = ()
    is_over: bool = False


def hyperband(max_epochs: int, reduction: int, min_epochs: int = 1) -> tuple[Bracket, ...]:
    """Hyperband's brackets, from the one that halves most to the one that trains all to the end.

    Algorithm 1: with s from s_max = floor(log_reduction(max/min)) to 0, n = ceil((s_max + 1) / (s + 1) * reduction^s)
    trials begin with max / reduction^s epochs. Epochs are rounded to whole ones.
    """
    most = num_halvings(max_epochs / min_epochs, reduction)
    return tuple(
        bracket(-(-(most + 1) * reduction**s // (s + 1)), s, max_epochs, reduction) for s in range(most, -1, -1)
    )


def bracket(size: int, halvings: int, max_epochs: int, reduction: int) -> Bracket:
    """One bracket of successive halving: floor(size / reduction^i) trials for max / reduction^(halvings - i) epochs."""
    rungs = range(halvings + 1)
    epochs = tuple(max(1, int(max_epochs / reduction ** (halvings - i) + 0.5)) for i in rungs)
    return Bracket(tuple(max(1, size // reduction**i) for i in rungs), epochs)


def num_halvings(ratio: float, reduction: int) -> int:
    """The largest whole s with reduction^s <= ratio."""
    count = 0
    while reduction ** (count + 1) <= ratio:
        count += 1
    return count


@dataclass(frozen=True)
class Design:
    """A search's trials and rungs, before anything is known.

    Args:
        brackets: Of synchronous searches, in order; without halving, one for each batch of proposals.
        asha: The rungs of ASHA; empty for all others.
        num_trials: In all.
        batch: Jobs of a round of ASHA.
        reduction: As in the study file.
        is_independent: Whether proposals do without scores, so that all brackets may begin at once.
    """

    brackets: tuple[Bracket, ...]
    num_trials: int
    asha: tuple[int, ...] = ()
    batch: int = 1
    reduction: int = 3
    is_independent: bool = False

    @property
    def levels(self) -> tuple[int, ...]:
        """Epochs of all rungs, each once."""
        return tuple(sorted({*self.asha, *(epochs for one in self.brackets for epochs in one.epochs)}))


def design_of(study: Study) -> Design:
    """The trials and rungs that a search's file asks for."""
    search: Search = study.search  # type: ignore[assignment]
    is_independent, halving = search.proposer == "random", search.halving
    if halving is None:
        total = search.trials or 50
        sizes = [min(search.batch, total - first) for first in range(0, total, search.batch)]
        brackets = tuple(Bracket((size,), (WHOLE,)) for size in sizes)
        return Design(brackets, total, is_independent=is_independent)
    most, eta = halving.max_epochs or study.planned_epochs, halving.reduction
    if halving.method == "asha":
        rungs = bracket(1, num_halvings(most / halving.min_epochs, eta), most, eta).epochs
        return Design((), search.trials or 50, rungs, search.batch, eta, is_independent)
    if halving.method == "successive-halving":
        total = search.trials or 50
        halvings = min(num_halvings(most / halving.min_epochs, eta), num_halvings(total, eta))
        one = bracket(total, halvings, most, eta)
        return Design((one,), total, reduction=eta, is_independent=is_independent)
    loop = hyperband(most, eta, halving.min_epochs)
    chosen = list(loop)
    if search.trials is not None:
        chosen = []
        while sum(one.sizes[0] for one in chosen) < search.trials:
            chosen.append(loop[len(chosen) % len(loop)])
    total = sum(one.sizes[0] for one in chosen)
    return Design(tuple(chosen), total, reduction=eta, is_independent=is_independent)


def num_epochs(study: Study) -> int:
    """Epochs that a search trains, at most, without its finalists: a promoted run goes on where it was."""
    design = design_of(study)
    brackets = design.brackets
    if design.asha:  # about as many as one bracket of successive halving
        brackets = (bracket(design.num_trials, len(design.asha) - 1, design.asha[-1], design.reduction),)
    total = 0
    for one in brackets:
        before = 0
        for size, epochs in zip(one.sizes, one.epochs, strict=True):
            whole = study.planned_epochs if epochs == WHOLE else epochs
            total, before = total + size * (whole - before), whole
    assert study.search is not None
    return total * study.search.replicates


def next_step(design: Design, num_proposed: int, scores: Scores, *, is_exhausted: bool = False) -> Step:
    """Replay a search from its scores alone, up to what is not known yet.

    Args:
        design: Its trials and rungs.
        num_proposed: Trials that there are, numbered from 1.
        scores: Of every trial at every rung that it has reached.
        is_exhausted: No more trials can be proposed: those that there are must do.
    """
    cap = min(design.num_trials, num_proposed) if is_exhausted else design.num_trials
    if design.asha:
        return _asha(design, num_proposed, scores, cap)
    return _synchronous(design, num_proposed, scores, cap)


def _synchronous(design: Design, num_proposed: int, scores: Scores, cap: int) -> Step:
    seen: dict[int, dict[int, float | None]] = {}
    jobs: list[tuple[int, int]] = []
    rungs: list[Rung] = []
    if design.is_independent and num_proposed < cap:
        return Step(cap, {})
    first = 1
    for number, one in enumerate(design.brackets, start=1):
        last = min(first + one.sizes[0] - 1, cap)
        if last < first:
            break
        if last > num_proposed:
            return Step(last, seen, rungs=tuple(rungs))
        waiting = _climb(one, number, range(first, last + 1), scores, seen, rungs)
        jobs += waiting
        if waiting and not design.is_independent:
            return Step(num_proposed, seen, tuple(jobs), tuple(rungs))
        first = last + 1
    return Step(num_proposed, seen, tuple(jobs), tuple(rungs), is_over=not jobs)


def _climb(
    one: Bracket,
    number: int,
    entrants: Sequence[int],
    scores: Scores,
    seen: dict[int, dict[int, float | None]],
    rungs: list[Rung],
) -> list[tuple[int, int]]:
    """Follow a bracket to the first rung that waits for scores: those jobs; none where the bracket is done."""
    for index, epochs in enumerate(one.epochs):
        unknown = [(trial, epochs) for trial in entrants if epochs not in scores.get(trial, {})]
        if unknown:
            rungs.append(Rung(number, epochs, tuple(entrants), is_full=False))
            return unknown
        for trial in entrants:
            seen.setdefault(trial, {})[epochs] = scores[trial][epochs]
        places = one.sizes[index + 1] if index + 1 < len(one.sizes) else 0
        promoted = tuple(best({trial: scores[trial][epochs] for trial in entrants})[:places])
        failed = tuple(trial for trial in entrants if scores[trial][epochs] is None)
        rungs.append(Rung(number, epochs, tuple(entrants), promoted, failed))
        if not promoted:
            return []
        entrants = sorted(promoted)
    return []


def best(scores: Mapping[int, float | None]) -> list[int]:
    """Trials with a score, the highest first; of equal ones the earlier trial."""
    known = {trial: score for trial, score in scores.items() if score is not None}
    return sorted(known, key=lambda trial: (-known[trial], trial))


@dataclass
class _Level:
    scores: dict[int, float | None] = field(default_factory=dict)
    promoted: list[int] = field(default_factory=list)


def _asha(design: Design, num_proposed: int, scores: Scores, cap: int) -> Step:
    """ASHA in rounds: the jobs of a round are chosen from the scores of earlier rounds, so that how many of them are
    trained side by side changes nothing."""
    levels = [_Level() for _ in design.asha]
    seen: dict[int, dict[int, float | None]] = {}
    begun = 0
    while True:
        jobs: list[tuple[int, int]] = []
        while len(jobs) < design.batch:
            promoted = _promotable(levels, design.reduction)
            if promoted is not None:
                level, trial = promoted
                levels[level].promoted.append(trial)
                jobs.append((trial, level + 1))
            elif begun < cap:
                begun += 1
                jobs.append((begun, 0))
            else:
                break
        if begun > num_proposed:
            return Step(begun, seen, rungs=_rungs_of(design, levels, ()))
        unknown = tuple((t, design.asha[k]) for t, k in jobs if design.asha[k] not in scores.get(t, {}))
        if unknown or not jobs:
            return Step(num_proposed, seen, unknown, _rungs_of(design, levels, jobs), is_over=not jobs)
        for trial, level in jobs:
            score = scores[trial][design.asha[level]]
            levels[level].scores[trial] = score
            seen.setdefault(trial, {})[design.asha[level]] = score


def _promotable(levels: Sequence[_Level], reduction: int) -> tuple[int, int] | None:
    """The highest rung with a trial among its best that has not been promoted, and the best such trial."""
    for number in range(len(levels) - 2, -1, -1):
        level = levels[number]
        for trial in best(level.scores)[: len(level.scores) // reduction]:
            if trial not in level.promoted:
                return number, trial
    return None


def _rungs_of(design: Design, levels: Sequence[_Level], jobs: Sequence[tuple[int, int]]) -> tuple[Rung, ...]:
    rungs = []
    for number, (epochs, level) in enumerate(zip(design.asha, levels, strict=True)):
        waiting = [trial for trial, at in jobs if at == number]
        trials = tuple(sorted({*level.scores, *waiting}))
        failed = tuple(trial for trial in trials if level.scores.get(trial, 0.0) is None)
        if trials:
            rungs.append(Rung(1, epochs, trials, tuple(level.promoted), failed, is_full=not waiting))
    return tuple(rungs)
