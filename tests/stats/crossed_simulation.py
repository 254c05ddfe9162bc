"""How often verdicts on these images, new images and new training sets are right, by simulation.

`python -m tests.stats.crossed_simulation` prints docs/evidence/statistics-simulations.md's tables (about half an hour).

An image has a difficulty, normal on the logit scale, that all networks share, and an effect of its own on each arm. A
seed shifts an arm's accuracy on every image (to first order in logits), and whether a network gets an image right is a
coin with the resulting chance. Seeds make 2/3 of a difference's variance at 10,000 images and flips the rest; at
``arm_spread`` 1 the images' part there is a tenth of the seeds'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from assay.stats import Claim, crossed_interval, image_spread, mean_interval, sign_flip_p

DIFFICULTY = 4.0  # deviation of images' difficulty, in logits
NOMINAL = 0.05
POOL = 10  # a redrawn split takes a tenth of its pool


@dataclass(frozen=True)
class Design:
    """How studies come about.

    Args:
        n: Seeds of each arm.
        m: Images that a seed is scored on.
        accuracy: Of both arms, where they are equal.
        split: Whether seeds of a study share their images or draw them from a pool of ten times as many.
        arm_spread: Deviation of an image's effect on one arm, in logits; at 0 arms agree on every image.
        shift: How much better arm b is on every image, in logits.
        seeds: Variance of a difference that seeds make on all images alike, over that of coin flips at 10,000 images.
        training: Variance of the effect that a training set has on the difference, over that of seeds and flips; each
            image of the pool that a seed trains on adds an independent part.
    """

    n: int
    m: int
    accuracy: float
    split: Literal["fixed", "redrawn"] = "fixed"
    arm_spread: float = 1.0
    shift: float = 0.0
    seeds: float = 2.0
    training: float = 0.0


class Rates(NamedTuple):
    """Shares of studies: intervals that hold the truth, directions called, and the same for seeds alone."""

    coverage: float
    calls: float
    seeds_coverage: float
    seeds_calls: float


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def over_images(design: Design, mean: float) -> tuple[float, float]:
    """Mean accuracy and mean p (1 - p) over all images whose logits have this mean."""
    z = np.linspace(-8, 8, 4001)
    weights = np.exp(-(z**2) / 2)
    chance = sigmoid(mean + math.hypot(DIFFICULTY, design.arm_spread) * z)
    weights /= weights.sum()
    return float(chance @ weights), float((chance * (1 - chance)) @ weights)


def mean_logit(design: Design) -> float:
    low, high = -20.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if over_images(design, middle)[0] < design.accuracy else (low, middle)
    return low


def study(rng: np.random.Generator, design: Design, mean: float) -> tuple[list[np.ndarray], list[np.ndarray], float]:
    """Differences [seeds][images], their images, and the mean difference over exactly the images of a fixed split."""
    flips = 2 * over_images(design, mean)[1]
    pool = design.m * (POOL if design.split == "redrawn" else 1)
    easy = mean + DIFFICULTY * rng.standard_normal(pool, dtype=np.float32)
    arms = [easy + np.float32(design.shift * arm) for arm in (0, 1)]
    if design.arm_spread:
        arms = [arm + np.float32(design.arm_spread) * rng.standard_normal(pool, dtype=np.float32) for arm in arms]
    chances = [sigmoid(arm) for arm in arms]
    slopes = [chance * (1 - chance) for chance in chances]
    own = design.seeds * flips / 10_000
    size = math.sqrt(own / 2) / (flips / 2)
    # Every image of the pool that a seed trains on adds its part; those of its validation split are left out.
    per_image = math.sqrt(design.training * (own + flips / design.m) / ((POOL - 1) * design.m)) / (flips / 2)
    parts = per_image * rng.standard_normal(pool) if design.training else np.zeros(pool)
    everything = np.arange(pool)
    rows, images = [], []
    for _ in range(design.n):
        if design.split == "redrawn":
            drawn = rng.choice(pool, design.m, replace=False, shuffle=False)
            used = [(chance[drawn], slope[drawn]) for chance, slope in zip(chances, slopes, strict=True)]
        else:
            drawn, used = everything, list(zip(chances, slopes, strict=True))
        moves = size * rng.standard_normal(2)
        moves[1] += parts.sum() - parts[drawn].sum() if design.training else 0.0
        right = [
            rng.random(design.m, dtype=np.float32) < chance + np.float32(move) * slope
            for (chance, slope), move in zip(used, moves, strict=True)
        ]
        rows.append(right[1].astype(np.int8) - right[0])
        images.append(drawn)
    return rows, images, float(chances[1].mean(dtype=np.float64) - chances[0].mean(dtype=np.float64))


def rates(studies: int, design: Design, *claims: Claim, seed: int = 0) -> list[Rates]:
    """For each claim, its coverage and calls in so many studies, beside those of Student's interval over seeds."""
    rng = np.random.default_rng([seed, design.n, design.m])
    mean = mean_logit(design)
    truth = over_images(design, mean + design.shift)[0] - over_images(design, mean)[0]
    results = np.empty((studies, len(claims), 4), bool)
    for result in results:
        rows, images, here = study(rng, design, mean)
        differences = np.array([row.mean() for row in rows])
        plain = mean_interval(differences, confidence=1 - NOMINAL)
        for index, claim in enumerate(claims):
            spread = image_spread(rows, images, claim=claim, num_training=(POOL - 1) * design.m)
            goal = here if claim == "these images" else truth
            ends = crossed_interval(differences, spread, confidence=1 - NOMINAL), (plain.low, plain.high)
            for start, (low, high) in zip((0, 2), ends, strict=True):
                called = (low > 0 or high < 0) and sign_flip_p(differences, draws=1_999) <= 1.2 * NOMINAL
                result[index, start : start + 2] = low <= goal <= high, called
    return [Rates(*map(float, shares)) for shares in results.mean(axis=0)]


def percent(*shares: float) -> str:
    return " / ".join(f"{100 * share:.1f}" for share in shares)


SIZES = (180, 1_000, 10_000)
COUNTS = (6, 10, 30)


def main_cells(studies: int, accuracy: float, m: int, n: int) -> list[str]:
    """One row of the first table."""
    here, one_split = rates(studies, Design(n, m, accuracy), "these images", "new images")
    (same,) = rates(studies, Design(n, m, accuracy, arm_spread=0.0), "these images")
    (fresh,) = rates(studies, Design(n, m, accuracy, "redrawn"), "new images")
    (training,) = rates(studies, Design(n, m, accuracy, "redrawn", training=1 / 8), "new training sets")
    (unequal,) = rates(studies, Design(n, m, accuracy, shift=1.0), "new images")
    cells = [percent(here.coverage, same.calls)]
    cells += [percent(found.coverage, found.calls, found.seeds_calls) for found in (one_split, fresh, training)]
    return [*cells, percent(unequal.coverage)]


def main(studies: int = 2_000, accuracies: tuple[float, ...] = (0.8, 0.99)) -> None:
    """Print the tables, from so many studies a cell; half as many for 30 seeds on 10,000 images."""
    print("### The claim's coverage / its false calls / false calls of seeds alone, in percent\n")
    print("| accuracy | images | seeds | these images | new images, one split | new images, fresh splits "
          "| new training sets | unequal arms, new images |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for accuracy in accuracies:
        for m in SIZES:
            for n in COUNTS:
                row = " | ".join(main_cells(studies // 2 if m * n == 300_000 else studies, accuracy, m, n))
                print(f"| {accuracy:.0%} | {m:,} | {n} | {row} |", flush=True)

    print("\n### New training sets, 180 images, 80 %: coverage / false calls by the training set's variance\n")
    print("| seeds | none | 1/8 of the seeds' | 1/2 | as large |\n|---|---|---|---|---|")
    for n in COUNTS:
        cells = []
        for training in (0.0, 1 / 8, 1 / 2, 1.0):
            (found,) = rates(studies, Design(n, 180, 0.8, "redrawn", training=training), "new training sets")
            cells.append(percent(found.coverage, found.calls))
        print(f"| {n} | " + " | ".join(cells) + " |", flush=True)

    print("\n### Learners whose seeds hardly matter, fresh splits: false calls of seeds alone, and with images\n")
    print("| seeds | seeds alone | new images |\n|---|---|---|")
    for n in COUNTS:
        (found,) = rates(studies, Design(n, 1_000, 0.8, "redrawn", arm_spread=6.0, seeds=0.0), "new images")
        print(f"| {n} | {100 * found.seeds_calls:.1f} | {100 * found.calls:.1f} |", flush=True)


if __name__ == "__main__":
    main()
