"""How often studies that grow call a difference that is not there: `python -m tests.stats.looks_simulation`.

Differences are normal with deviation 1 unless a shape is named. The rule is that of ``assay.stats.decide`` for
one contrast, computed for many studies at a time; ``test_looks_simulation.py`` checks that both agree.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import stdtr

from assay.stats import History, Look, Spending, decide, nominal_levels, sign_flip_p
from assay.stats.look import FLIP_ROOM
from assay.stats.look_power import detectable_effect
from assay.stats.paired import MAX_ENUMERATED
from assay.stats.sequential import AT_PLAN

SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy tails": lambda rng, size: rng.standard_t(3, size=size),
    "tied": lambda rng, size: np.round(rng.normal(size=size)),
}


def called(values: np.ndarray, looks: Sequence[int], spending: Spending, *, alpha: float = 0.05) -> np.ndarray:
    """For each look and study, whether a direction has been called by then [looks, studies].

    Args:
        values: [studies, pairs].
        looks: Seeds ended at each look, of which all are pairs.
        spending: How the 5 % is spent.
        alpha: This contrast's part.
    """
    levels = nominal_levels(tuple(looks), tuple(spending.spent(n) for n in looks), alpha)
    has_called = np.zeros(len(values), dtype=bool)
    by_look = []
    for n, level in zip(looks, levels, strict=True):
        has_called = has_called | crosses(values[:, :n], level)
        by_look.append(has_called)
    return np.array(by_look)


def crosses(values: np.ndarray, level: float) -> np.ndarray:
    """Whether a look at these pairs [studies, pairs] crosses its nominal level."""
    n = values.shape[1]
    deviation = values.std(1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(values.mean(1)) / (deviation / n**0.5)
    crossing = np.asarray(2 * stdtr(n - 1, -t) <= level)
    if n <= MAX_ENUMERATED:
        for index in np.flatnonzero(crossing):
            crossing[index] = sign_flip_p(values[index]) <= FLIP_ROOM * level
    return crossing


def following_advice(values: np.ndarray, *, looks: tuple[int, ...] = (10,), planned: int = 10) -> int:
    """How many of these studies [studies, maximum] call a direction when each is run again with as many seeds as the
    program advises, until it is decided or at the maximum.

    Studies that have had the same looks are judged together. ``test_looks_simulation.py`` checks the advice.
    """
    plan, maximum = Spending(planned), values.shape[1]
    n = looks[-1]
    has_called = crosses(values[:, :n], nominal_levels(looks, tuple(plan.spent(n) for n in looks))[-1])
    if n == maximum:
        return int(has_called.sum())
    rest = values[~has_called]
    num_called = len(values) - len(rest)
    if len(rest):
        effects = np.abs(rest[:, :n].mean(1)) / rest[:, :n].std(1, ddof=1)
        advised = advised_seeds(effects, looks, plan, maximum)
        for seeds in np.unique(advised):
            num_called += following_advice(rest[advised == seeds], looks=(*looks, int(seeds)), planned=planned)
    return num_called


def advised_seeds(effects: np.ndarray, looks: tuple[int, ...], plan: Spending, maximum: int) -> np.ndarray:
    """The seeds at which each effect is found with power 0.8 by one more look, at most the maximum."""
    candidates = range(looks[-1] + 1, maximum + 1)
    enough = np.array([_detectable(looks, n, plan) for n in candidates])
    reached = effects[:, None] >= enough
    return np.where(reached.any(1), reached.argmax(1) + looks[-1] + 1, maximum)


@functools.cache
def _detectable(looks: tuple[int, ...], n: int, plan: Spending) -> float:
    level = nominal_levels((*looks, n), tuple(plan.spent(seeds) for seeds in (*looks, n)))[-1]
    effect = detectable_effect(n, level)
    return np.inf if effect is None else effect


def while_running(studies: int, *, planned: int = 30) -> float:
    """Share of studies that call a difference where pairs end in any order and every new one is looked at.

    A look's pairs are then not the first seeds, but those that have ended.
    """
    looks = range(6, planned + 1)
    rng = np.random.default_rng(24)
    values = rng.permuted(rng.normal(size=(studies, planned)), axis=1)
    return float(called(values, [*looks], Spending(planned))[-1].mean())


def added_later(studies: int, *, planned: int = 10, arms: int = 3) -> float:
    """Share of studies that call a difference anywhere: one contrast, looked at; then ``arms`` more are added.

    They share the baseline's seeds with the first, all are looked at, and then all grow to 20 and to 40 seeds.
    """
    rng = np.random.default_rng(25)
    return float(np.mean([_calls_after_additions(rng, planned, arms) for _ in range(studies)]))


def _calls_after_additions(rng: np.random.Generator, planned: int, arms: int) -> bool:
    scores = rng.normal(size=(arms + 2, 4 * planned))
    rows = (scores[1:] - scores[0]) / 2**0.5
    sizes = (planned, 2 * planned, 4 * planned)
    for num_looks in range(1, len(sizes) + 1):
        first = History(tuple(Look(rows[0, :n], n) for n in sizes[:num_looks]), Spending(planned, halved=(planned,)))
        later = [
            History(tuple(Look(row[:n], n) for n in sizes[:num_looks]), Spending(planned), 1, (1 - AT_PLAN) / 2)
            for row in rows[1:]
        ]
        alone = History(first.looks[:1], Spending(planned))
        if decide([alone])[0].outcome in ("better", "worse"):
            return True
        if any(decision.outcome in ("better", "worse") for decision in decide([first, *later])):
            return True
    return False


PATTERNS: dict[str, tuple[tuple[int, ...], Spending]] = {
    "planned, 6": ((6,), Spending(6)),
    "planned, 10": ((10,), Spending(10)),
    "planned, 30": ((30,), Spending(30)),
    "10, then 20": ((10, 20), Spending(10)),
    "10, then 40": ((10, 40), Spending(10)),
    "10, 20, 40": ((10, 20, 40), Spending(10)),
    "6, 10, 20, 40": ((6, 10, 20, 40), Spending(6)),
    "after every seed, 6 to 40, planned 10": (tuple(range(6, 41)), Spending(10)),
    "after every seed, 6 to 200, planned 10": (tuple(range(6, 201)), Spending(10)),
    "after every seed, 6 to 30, planned 30": (tuple(range(6, 31)), Spending(30)),
    "stops when decided, 6 to 40": ((6, 8, 10, 13, 17, 22, 28, 35, 40), Spending(40, stops=True, at_plan=0.9)),
    "stops when decided, 6 to 40, then 80": (
        (6, 8, 10, 13, 17, 22, 28, 35, 40, 50, 63, 80), Spending(40, stops=True, at_plan=0.9),
    ),
}  # fmt: skip


def main(studies: int = 20_000) -> None:
    print("| pattern | " + " | ".join(SHAPES) + " | 0.5 | 1 |\n|---|---|---|---|---|---|")
    for name, (looks, spending) in PATTERNS.items():
        cells = []
        for shape in SHAPES.values():
            values = shape(np.random.default_rng(19), (studies, looks[-1]))
            cells.append(f"{called(values, looks, spending)[-1].mean():.2%}")
        for effect in (0.5, 1.0):
            values = np.random.default_rng(20).normal(size=(studies, looks[-1])) + effect
            cells.append(f"{called(values, looks, spending)[-1].mean():.1%}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nlooks while it runs: {while_running(studies):.2%}; arms added later: {added_later(studies // 5):.2%}")
    for maximum in (40, 300):
        values = np.random.default_rng(21).normal(size=(studies, maximum))
        print(f"advice followed to {maximum} seeds: {following_advice(values) / studies:.2%}", flush=True)


if __name__ == "__main__":
    main()
