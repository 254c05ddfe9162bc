"""How often a race names a wrong best arm, and how many runs it takes: `python -m tests.stats.race_simulation`.

Scores of an arm have deviation 1 unless said otherwise, half of whose variance a seed shares with all arms. The rule is
that of ``assay.stats.race``, computed for many studies at a time; ``test_race.py`` checks that both agree.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from assay.stats import nominal_levels, planned_looks, race
from assay.stats.race import RaceLook, RaceResult, flips_p, pair_level
from assay.stats.sequential import AT_MAXIMUM, Spending
from assay.stats.verdicts import ALPHA

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

NOISE: dict[str, Noise] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy tails": lambda rng, size: rng.standard_t(3, size=size) / 3**0.5,
    "skewed": lambda rng, size: 1 - rng.exponential(size=size),
    "tied": lambda rng, size: np.round(rng.normal(size=size)),
}


@dataclass(frozen=True)
class Truth:
    """Arms' means and deviations."""

    means: tuple[float, ...]
    deviations: tuple[float, ...] = ()
    noise: str = "normal"

    def scores(self, rng: np.random.Generator, studies: int, seeds: int) -> np.ndarray:
        """[studies, arms, seeds]."""
        k = len(self.means)
        own = NOISE[self.noise](rng, (studies, k, seeds)) * np.array(self.deviations or (1.0,) * k)[:, None]
        shared = rng.normal(size=(studies, 1, seeds))
        scores = np.array(self.means)[:, None] + 0.5**0.5 * (own + shared)
        return np.round(scores) if self.noise == "tied" else scores


TRUTHS: dict[str, Truth] = {
    "2 equal": Truth((0,) * 2),
    "3 equal": Truth((0,) * 3),
    "4 equal": Truth((0,) * 4),
    "8 equal": Truth((0,) * 8),
    "8 equal, heavy tails": Truth((0,) * 8, noise="heavy tails"),
    "8 equal, skewed": Truth((0,) * 8, noise="skewed"),
    "8 equal, tied": Truth((0,) * 8, noise="tied"),
    "4 equal, spreads 0.3 to 2": Truth((0,) * 4, (0.3, 0.5, 1, 2)),
    "2 equal, 2 far": Truth((0, 0, -3, -3)),
    "slippage of 0.2, 4 arms": Truth((0.2, 0, 0, 0)),
    "slippage of 0.5, 4 arms": Truth((0.5, 0, 0, 0)),
    "slippage of 1, 4 arms": Truth((1, 0, 0, 0)),
    "slippage of 1, 8 arms": Truth((1,) + (0,) * 7),
    "slippage of 1, 8 arms, heavy tails": Truth((1,) + (0,) * 7, noise="heavy tails"),
    "slippage of 2, 8 arms": Truth((2,) + (0,) * 7),
    "graded by 0.3, 4 arms": Truth((0.9, 0.6, 0.3, 0)),
    "graded by 0.3, 8 arms": Truth(tuple(0.3 * step for step in range(7, -1, -1))),
    "graded by 0.3, 8 arms, spreads 0.3 to 2": Truth(
        tuple(0.3 * step for step in range(7, -1, -1)), (2, 1.5, 1, 0.5, 0.3, 0.3, 0.5, 1)
    ),
    "one far ahead, 8 arms": Truth((4, 0, 0, 0, -1, -1, -2, -2)),
}


def races(scores: np.ndarray, maximum: int, margin: float | None) -> list[RaceResult]:
    """How the race of each study ends.

    Args:
        scores: [studies, arms, seeds].
        maximum: Seeds of the last look.
        margin: As for ``race``; ``None`` for none.
    """
    studies, k, _ = scores.shape
    sizes = planned_looks(6, maximum).seeds
    spent = tuple(map(Spending(maximum, stops=True, at_plan=AT_MAXIMUM).spent, sizes))
    # By number of arms that are in [arms + 1, looks].
    beaten_levels = np.array([nominal_levels(sizes, spent, 2 * pair_level(m)) for m in range(k + 1)])
    near_levels = np.array([nominal_levels(sizes, spent, pair_level(m), two_sided=False) for m in range(k + 1)])
    flip_levels = nominal_levels(sizes, spent, ALPHA, two_sided=False)
    looks: list[list[RaceLook]] = [[] for _ in range(studies)]
    results = [race((), k) for _ in range(studies)]
    for number, (n, flips_at) in enumerate(zip(sizes, flip_levels, strict=True)):
        going = [study for study in range(studies) if results[study].outcome == "open"]
        num_left = [len(results[study].left) for study in going]
        beaten_at = beaten_levels[num_left, number][:, None, None]
        near_at = near_levels[num_left, number][:, None, None]
        some = scores[going][:, :, :n]
        means = some.mean(2)
        differences = means[:, None, :] - means[:, :, None]  # column minus row
        # The variance of a difference, from those of its arms and their covariance: [studies, arms, arms].
        centred = some - means[:, :, None]
        products = centred @ centred.transpose(0, 2, 1)
        squares = np.einsum("saa->sa", products)
        errors = np.sqrt(np.maximum(squares[:, :, None] + squares[:, None, :] - 2 * products, 0) / (n - 1) / n)
        errors = np.maximum(errors, 1e-12)
        beaten = (2 * stdtr(n - 1, -np.abs(differences / errors)) <= beaten_at) & (differences > 0)
        near = np.zeros_like(beaten)
        if margin is not None:
            near = (stdtr(n - 1, (differences - margin) / errors) <= near_at) & (-differences < margin)
        for place, study in enumerate(going):
            left = results[study].left
            for arm in left:
                rows = [some[place, other] - some[place, arm] for other in left if other != arm]
                if beaten[place, arm, list(left)].any() and flips_p(rows) > flips_at:
                    beaten[place, arm] = False
            looks[study].append(RaceLook(beaten[place], near[place], means[place]))
            results[study] = race(looks[study], k)
    return results


@dataclass(frozen=True)
class Rates:
    """Shares of studies, and of runs."""

    wrong: float
    right: float
    alike: float
    runs: float

    def row(self) -> str:
        return f"{100 * self.wrong:.1f} | {100 * self.right:.0f} | {100 * self.alike:.0f} | {100 * self.runs:.0f} %"


def run(truth: Truth, studies: int, *, maximum: int = 40, margin: float | None = None, seed: int = 8) -> Rates:
    """What becomes of so many races."""
    rng, counts = np.random.default_rng(seed), np.zeros(4)
    sizes = planned_looks(6, maximum).seeds
    for start in range(0, studies, 500):
        some = min(500, studies - start)
        for result in races(truth.scores(rng, some, maximum), maximum, margin):
            counts += judged(result, truth, sizes, margin)
    wrong, right, alike, runs = counts / studies
    return Rates(wrong, right, alike, runs / (maximum * len(truth.means)))


def judged(result: RaceResult, truth: Truth, sizes: Sequence[int], margin: float | None) -> np.ndarray:
    """Whether a race is wrong, names the best arm, or a tie; and its runs.

    A best arm is wrong where another one is as good. A tie is wrong where its leader is a margin below the best.
    """
    means = np.array(truth.means)
    best = np.flatnonzero(means == means.max())
    runs = sum(sizes[drop.look - 1] for drop in result.drops) + len(result.left) * sizes[result.looks - 1]
    is_best = result.outcome == "best" and result.leader == best[0] and len(best) == 1
    is_tie = result.outcome == "alike"
    is_wrong = result.outcome == "best" and not is_best
    if is_tie and margin is not None:
        is_wrong = bool(means[result.leader] <= means.max() - margin)
    if result.outcome == "open" and not set(best) & set(result.left):
        is_wrong = True
    return np.array([is_wrong, is_best, is_tie, runs], float)


def main(studies: int) -> None:
    columns = "wrong | the best named | a tie | runs"
    print(f"| truth | {columns} | with a margin of 0.5: {columns} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, truth in TRUTHS.items():
        print(f"| {name} | {run(truth, studies).row()} | {run(truth, studies, margin=0.5).row()} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
