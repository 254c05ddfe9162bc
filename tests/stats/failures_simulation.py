"""Verdicts when runs fail or collapse: `python -m tests.stats.failures_simulation` prints the tables in the docs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtr

from assay.stats import PairedOutcomes, paired_outcomes, sign_flip_p, skew_factors
from assay.stats.look import FLIP_ROOM
from assay.stats.sequential import AT_PLAN
from assay.stats.verdicts import ALPHA

NOMINAL = ALPHA * AT_PLAN  # what the planned look tests at
CHANCE = 0.1
SEED_SPREAD, OWN_SPREAD = 0.005, 0.003  # deviations of what a seed does to both arms, and to each
Scores = tuple[np.ndarray, np.ndarray]
Draw = Callable[[np.random.Generator, int], Scores]


def equal(rng: np.random.Generator, n: int, *, base: float = 0.97, gain: float = 0.0) -> Scores:
    """Two arms whose scores share a part with the seed."""
    shared = base + rng.normal(0, SEED_SPREAD, n)
    return shared + rng.normal(0, OWN_SPREAD, n), shared + gain + rng.normal(0, OWN_SPREAD, n)


def one_collapse(rng: np.random.Generator, n: int) -> Scores:
    """b gains a point; one of its seeds is at 10 %."""
    a, b = equal(rng, n, gain=0.01)
    b[0] = CHANCE
    return a, b


def collapses_and_gains(rng: np.random.Generator, n: int) -> Scores:
    """b collapses in a tenth of its seeds and gains a point otherwise: its mean is 7.8 points lower."""
    a, b = equal(rng, n, gain=0.01)
    return a, np.where(rng.random(n) < 0.1, CHANCE, b)


def equal_means(rng: np.random.Generator, n: int) -> Scores:
    """b collapses in a tenth of its seeds and gains so much otherwise (7.8 points) that the means are equal."""
    base = 0.8
    a, b = equal(rng, n, base=base, gain=0.1 * (base - CHANCE) / 0.9)
    return a, np.where(rng.random(n) < 0.1, CHANCE, b)


def weak_runs_fail(rng: np.random.Generator, n: int, *, share: float = 0.3) -> Scores:
    """Equal arms without a part that a seed shares; b's weakest three of ten runs diverge and have no score."""
    a, b = rng.normal(0, 1, (2, n))
    return 0.97 + OWN_SPREAD * a, 0.97 + OWN_SPREAD * np.where(b < ndtri(share), np.nan, b)


def both_fail(rng: np.random.Generator, n: int, *, share: float = 0.2) -> Scores:
    """Equal arms, of which each fails in a fifth of its runs."""
    a, b = equal(rng, n)
    return np.where(rng.random(n) < share, np.nan, a), np.where(rng.random(n) < share, np.nan, b)


def seeds_fail_together(rng: np.random.Generator, n: int) -> Scores:
    """The same where a seed makes both fail, or one of them."""
    a, b = equal(rng, n)
    hard = rng.random(n) < 0.3
    return (
        np.where(hard & (rng.random(n) < 0.67), np.nan, a),
        np.where(hard & (rng.random(n) < 0.67), np.nan, b),
    )


def one_arm_fails(rng: np.random.Generator, n: int) -> Scores:
    """b fails in two of five runs; nothing else differs."""
    a, b = equal(rng, n)
    return a, np.where(rng.random(n) < 0.4, np.nan, b)


DESIGNS: dict[str, Draw] = {
    "one seed of b at 10 %, gain of 1 point": one_collapse,
    "b collapses in a tenth, gains 1 point otherwise": collapses_and_gains,
    "b collapses in a tenth, equal means": equal_means,
    "equal arms, weak runs of b diverge": weak_runs_fail,
    "equal arms, a fifth of each fails": both_fail,
    "equal arms, seeds fail together": seeds_fail_together,
    "equal where both work, b fails in two of five": one_arm_fails,
    "no bad runs, gain of 1 deviation": lambda rng, n: equal(rng, n, gain=2**0.5 * OWN_SPREAD),
    "no bad runs, no gain": equal,
}


@dataclass
class Shares:
    """Shares of studies that claim each thing; "better" is b."""

    before_better: float = 0.0
    before_worse: float = 0.0
    rates: float = 0.0
    better: float = 0.0
    worse: float = 0.0
    overall_better: float = 0.0
    overall_worse: float = 0.0

    @property
    def before(self) -> float:
        return self.before_better + self.before_worse


def worked_p(outcomes: PairedOutcomes, level: float) -> float:
    """The planned look's p where both worked: the larger of t's, with its factor for skewness, and sign flips'
    over its room.

    Above the level, t's alone.
    """
    differences = outcomes.worked
    n = len(differences)
    if n < 6:
        return 1.0
    t = differences.mean() / (differences.std(ddof=1) / n**0.5)
    p = 2 * float(stdtr(n - 1, -abs(t))) * outcomes.skew_factors[0 if t > 0 else 1]
    return p if p > level else max(p, sign_flip_p(differences, draws=9_999) / FLIP_ROOM)


def before(a: np.ndarray, b: np.ndarray) -> int:
    """What one look at 5 % said: pairs with a failed run left out, t and sign flips both below 5 %."""
    differences = (b - a)[~np.isnan(b - a)]
    n = len(differences)
    if n < 6:
        return 0
    t = differences.mean() / (differences.std(ddof=1) / n**0.5)
    if 2 * stdtr(n - 1, -abs(t)) >= 0.05 or sign_flip_p(differences, draws=9_999) >= 0.05:
        return 0
    return 1 if t > 0 else -1


def shares(studies: int, draw: Draw, n: int, *, level: float = NOMINAL, seed: int = 0) -> Shares:
    """How often each claim is made at a planned look of n seeds."""
    rng = np.random.default_rng([seed, n])
    counts = np.zeros(7)
    for _ in range(studies):
        a, b = draw(rng, n)
        was = before(a, b)
        outcomes = paired_outcomes(a, b, chance=CHANCE)
        claims = outcomes.claims(worked_p(outcomes, level), level)
        counts += [
            was > 0,
            was < 0,
            claims.rates is not None,
            claims.where_both_worked == "better",
            claims.where_both_worked == "worse",
            claims.overall == "better",
            claims.overall == "worse",
        ]
    return Shares(*(counts / studies))


# Shapes of two arms with equal means, in units of the wider one; "shared" adds what a seed does to both.
def _exponential(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return rng.exponential(size=size) - 1


def _lognormal(rng: np.random.Generator, size: tuple[int, ...], sigma: float = 0.75) -> np.ndarray:
    spread = (np.exp(sigma**2) * np.expm1(sigma**2)) ** 0.5
    return (np.exp(rng.normal(0, sigma, size)) - np.exp(sigma**2 / 2)) / spread


def _mild_tail(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    return np.where(rng.random(size) < 0.1, -3.0, 1 / 3) + rng.normal(0, 0.5, size)


SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Scores]] = {
    "normal, equal spreads": lambda rng, size: (rng.normal(size=size), rng.normal(size=size)),
    "normal, spreads 0.3 and 1": lambda rng, size: (rng.normal(0, 0.3, size), rng.normal(size=size)),
    "exponential both": lambda rng, size: (_exponential(rng, size), _exponential(rng, size)),
    "exponential, other 0.3": lambda rng, size: (rng.normal(0, 0.3, size), _exponential(rng, size)),
    "low exponential tail, other 0.3": lambda rng, size: (rng.normal(0, 0.3, size), -_exponential(rng, size)),
    "exponential, other 0.1": lambda rng, size: (rng.normal(0, 0.1, size), _exponential(rng, size)),
    "exponential, other 0.3, shared 0.7": lambda rng, size: _share(
        rng, rng.normal(0, 0.3, size), _exponential(rng, size)
    ),
    "lognormal, other 0.3": lambda rng, size: (rng.normal(0, 0.3, size), _lognormal(rng, size)),
    "one in ten 3 lower, other 0.5": lambda rng, size: (rng.normal(0, 0.5, size), _mild_tail(rng, size)),
}


def _share(rng: np.random.Generator, a: np.ndarray, b: np.ndarray) -> Scores:
    seeds = rng.normal(0, 0.7, a.shape)
    return a + seeds, b + seeds


def calls(
    studies: int, shape: str, n: int, *, effect: float = 0.0, level: float = NOMINAL, seed: int = 0
) -> tuple[float, float]:
    """Share of studies that call a difference at a planned look, without and with the factor for skewness.

    Args:
        studies: How many.
        shape: Of ``SHAPES``.
        n: Seeds.
        effect: True difference, in deviations of a difference; the arm drawn second is the better one.
        level: The look's.
        seed: Of the draws.
    """
    rng = np.random.default_rng([seed, n, 1])
    a, b = SHAPES[shape](rng, (studies, n))
    differences = b - a
    b = b + effect * differences.std()
    differences = b - a
    t = differences.mean(1) / (differences.std(1, ddof=1) / n**0.5)
    p = 2 * stdtr(n - 1, -np.abs(t))
    open_ = np.flatnonzero(p <= level)
    flips = np.array([sign_flip_p(differences[i], draws=9_999) for i in open_])
    open_ = open_[flips <= FLIP_ROOM * level]
    factors = np.array([skew_factors(a[i], b[i])[0 if t[i] > 0 else 1] for i in open_])
    return len(open_) / studies, float((p[open_] * factors <= level).sum() / studies)


def main(studies: int = 4000) -> None:
    """Print the tables, from so many studies a cell."""
    head = ("today better", "worse", "rates differ", "better where both worked", "worse", "better overall", "worse")
    print(f"### Runs that collapse or fail ({studies:,} studies each)\n")
    print("| design | seeds | " + " | ".join(head) + " |\n|" + "---|" * (len(head) + 2))
    for name, draw in DESIGNS.items():
        for n in (10, 20):
            cells = " | ".join(f"{100 * value:.1f}" for value in vars(shares(studies, draw, n)).values())
            print(f"| {name} | {n} | {cells} |", flush=True)
    print("\n### Shapes\n")
    print("| shapes | 6 | 10 | 20 | 30 |\n|---|---|---|---|---|")
    rows = [(name, 0.0, name) for name in SHAPES] + [
        ("normal, equal spreads", 1.0, "power: normal, 1 deviation"),
        ("normal, spreads 0.3 and 1", 1.0, "power: the better arm varies more"),
        ("normal, spreads 0.3 and 1", -1.0, "power: the worse arm varies more"),
    ]
    for shape, effect, name in rows:
        many = studies if effect else 5 * studies
        pairs = (calls(many, shape, n, effect=effect) for n in (6, 10, 20, 30))
        print(f"| {name} | " + " | ".join(f"{100 * old:.1f}, {100 * new:.1f}" for old, new in pairs) + " |", flush=True)


if __name__ == "__main__":
    main()
