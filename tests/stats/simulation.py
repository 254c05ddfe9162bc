"""Error rates of the verdicts, by simulation: `python -m tests.stats.simulation` prints the tables of the docs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.stats import History, Look, Spending, decide, mean_interval, planned_looks

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

# Scores with mean 0 and deviation 1, whatever their shape. Tied: accuracies on a small validation split, which come in
# steps as large as their deviation.
SHAPES: dict[str, Draw] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: rng.exponential(size=size) - 1,
    "tied": lambda rng, size: np.round(rng.normal(size=size)),
}


def family(rng: np.random.Generator, shape: str, num_contrasts: int, n: int, effect: float = 0.0) -> np.ndarray:
    """Differences [contrasts, n] of arms from one baseline, in deviations of a difference between two arms.

    Every arm's scores share a part that the seed gives (half of their variance); only the rest stays in differences.
    """
    scores = SHAPES[shape](rng, (num_contrasts + 1, n)) / 2**0.5 + rng.normal(size=n)
    return scores[1:] - scores[0] + effect


def false_differences(studies: int, shape: str, num_contrasts: int, n: int, *, seed: int = 0) -> float:
    """Share of studies without any difference in which one or more is called, at a planned n."""
    rng = np.random.default_rng([seed, n, num_contrasts])
    return float(np.mean([_calls(family(rng, shape, num_contrasts, n), (n,), Spending(n)) for _ in range(studies)]))


def _calls(rows: np.ndarray, looks: tuple[int, ...], plan: Spending) -> bool:
    histories = [History(tuple(Look(row[:n], n) for n in looks), plan) for row in rows]
    return any(decision.outcome in ("better", "worse") for decision in decide(histories))


def stopping(maximum: int) -> Spending:
    """The plan of a study that stops when decided."""
    return Spending(maximum, stops=True, at_plan=0.9)


def false_differences_in_looks(studies: int, shape: str, num_contrasts: int, maximum: int, *, seed: int = 0) -> float:
    """The same with sequential looks from 6 to ``maximum`` seeds."""
    rng = np.random.default_rng([seed, maximum, num_contrasts, 1])
    looks = planned_looks(6, maximum).seeds
    plan = stopping(maximum)
    return float(np.mean([_calls(family(rng, shape, num_contrasts, maximum), looks, plan) for _ in range(studies)]))


def coverage(studies: int, shape: str, n: int, *, seed: int = 0) -> float:
    """Share of 95 % intervals for a paired difference, of one look at all there is, that hold the true one."""
    rng = np.random.default_rng([seed, n, 2])
    rows = np.concatenate([family(rng, shape, 1, n) for _ in range(studies)])
    intervals = (Look(row, n).interval(0.05) for row in rows)
    return float(np.mean([low <= 0 <= high for low, high in intervals]))


def coverage_of_scores(studies: int, shape: str, n: int, *, seed: int = 0) -> float:
    """Share of 95 % intervals for one arm's mean that hold the true one: scores are as skewed as they come."""
    rng = np.random.default_rng([seed, n, 3])
    return float(np.mean([(i := mean_interval(row)).low <= 0 <= i.high for row in SHAPES[shape](rng, (studies, n))]))


def coverage_in_looks(studies: int, shape: str, effect: float, *, maximum: int = 40, seed: int = 0) -> float:
    """Share of studies whose interval, at the look where they stopped, holds the true difference."""
    rng = np.random.default_rng([seed, maximum, 4])
    held = []
    for _ in range(studies):
        low, high = _grown(family(rng, shape, 1, maximum, effect)[0], maximum)[1].interval(alpha=0.05)
        held.append(low <= effect <= high)
    return float(np.mean(held))


def _grown(row: np.ndarray, maximum: int, margin: float | None = None) -> tuple[str, History]:
    """The outcome of a contrast that grows until it is decided, and its looks till then."""
    looks: list[Look] = []
    outcome = "undecided"
    for n in planned_looks(6, maximum).seeds:
        looks.append(Look(row[:n], n))
        history = History(tuple(looks), stopping(maximum))
        (decision,) = decide([history], margin=margin)
        outcome = decision.outcome
        if outcome not in ("undecided", "too few seeds"):
            break
    return outcome, history


def false_equivalences(studies: int, shape: str, n: int, *, seed: int = 0) -> float:
    """Share of studies called equivalent whose true difference is the margin, at n fixed beforehand."""
    rng = np.random.default_rng([seed, n, 5])
    margin = 1.5
    rows = (family(rng, shape, 1, n, margin)[0] for _ in range(studies))
    return float(np.mean([max(Look(row, n).margin_ps(margin)) < 0.05 for row in rows]))


def false_equivalences_in_looks(studies: int, shape: str, maximum: int, *, seed: int = 0) -> float:
    """The same with sequential looks."""
    rng = np.random.default_rng([seed, maximum, 6])
    margin = 1.5
    rows = (family(rng, shape, 1, maximum, margin)[0] for _ in range(studies))
    return float(np.mean([_grown(row, maximum, margin)[0] == "equivalent" for row in rows]))


def saved(
    studies: int,
    effect: float,
    *,
    maximum: int = 40,
    margin: float | None = None,
    num_contrasts: int = 1,
    seed: int = 0,
) -> tuple[float, float]:
    """Share of runs that stopping saves of ``maximum`` for every arm, and share of contrasts decided.

    The baseline goes on as long as any other arm does.
    """
    rng = np.random.default_rng([seed, maximum, 7])
    sizes = planned_looks(6, maximum).seeds
    runs, decided = [], []
    for _ in range(studies):
        rows = family(rng, "normal", num_contrasts, maximum, effect)
        ends: dict[int, int] = {}
        for look in range(1, len(sizes) + 1):
            histories = [
                History(tuple(Look(row[:n], n) for n in sizes[: ends.get(arm, look)]), stopping(maximum))
                for arm, row in enumerate(rows)
            ]
            for arm, decision in enumerate(decide(histories, margin=margin)):
                if decision.outcome not in ("undecided", "too few seeds"):
                    ends.setdefault(arm, look)
            if len(ends) == num_contrasts:
                break
        seeds = [sizes[ends.get(arm, len(sizes)) - 1] for arm in range(num_contrasts)]
        decided += [arm in ends for arm in range(num_contrasts)]
        runs.append(sum(seeds) + max(seeds))
    return 1 - float(np.mean(runs)) / (maximum * (num_contrasts + 1)), float(np.mean(decided))


def main(studies: int = 2000) -> None:
    """Print the tables, from so many studies each."""
    print(f"### Studies without any difference in which one was called ({studies:,} studies each)\n")
    print("| contrasts | seeds | " + " | ".join(SHAPES) + " |\n|---|---|---|---|---|")
    for contrasts, n in ((1, 6), (1, 10), (1, 30), (3, 10), (8, 10), (8, 30)):
        rates = [f"{false_differences(studies, shape, contrasts, n):.1%}" for shape in SHAPES]
        print(f"| {contrasts} | {n} | " + " | ".join(rates) + " |", flush=True)
    for contrasts, maximum in ((1, 20), (1, 40), (3, 40)):
        rates = [f"{false_differences_in_looks(studies, shape, contrasts, maximum):.1%}" for shape in SHAPES]
        print(f"| {contrasts} | 6 to {maximum}, in looks | " + " | ".join(rates) + " |", flush=True)

    print("\n### Coverage of 95 % intervals\n")
    print("| of | seeds | " + " | ".join(SHAPES) + " |\n|---|---|---|---|---|")
    many = 10 * studies
    for n in (6, 10, 30):
        print(f"| a paired difference | {n} | " + " | ".join(f"{coverage(many, s, n):.1%}" for s in SHAPES) + " |")
    for n in (6, 10, 30):
        told = [f"{coverage_of_scores(many, s, n):.1%}" for s in SHAPES]
        print(f"| one arm's mean | {n} | " + " | ".join(told) + " |", flush=True)
    for effect in (0.0, 0.5, 1.0, 2.0):
        told = [f"{coverage_in_looks(studies, s, effect):.1%}" for s in SHAPES]
        print(f"| a difference of {effect:g} where looks stopped | 6 to 40 | " + " | ".join(told) + " |", flush=True)

    print("\n### Differences as large as the margin that were called equivalent\n")
    print("| seeds | " + " | ".join(SHAPES) + " |\n|---|---|---|---|")
    for n in (6, 10, 30):
        print(f"| {n} | " + " | ".join(f"{false_equivalences(many, s, n):.1%}" for s in SHAPES) + " |", flush=True)
    for maximum in (20, 40):
        told = [f"{false_equivalences_in_looks(studies, s, maximum):.1%}" for s in SHAPES]
        print(f"| 6 to {maximum}, in looks | " + " | ".join(told) + " |", flush=True)

    print("\n### Runs saved by stopping when decided, of 40 seeds for every arm\n")
    print("| difference | two arms | decided | two arms, margin 0.75 | decided | four arms | decided |")
    print("|---|---|---|---|---|---|---|")
    for effect in (0.0, 0.5, 1.0, 2.0):
        cells = []
        for margin, contrasts in ((None, 1), (0.75, 1), (None, 3)):
            share, decided = saved(studies, effect, margin=margin, num_contrasts=contrasts)
            cells.append(f"{share:.0%} | {decided:.0%}")
        print(f"| {effect:g} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
