"""How often a verdict by a measure calls a difference that is not there: ``python -m tests.measures.simulation``.

Two arms are alike over images, and unlike on every single one: an image has a difficulty that both share, and an effect
of its own on each arm. Seeds move an arm's margin and lean it towards one class or another, and each network adds noise
of its own on each image. Images are drawn anew for each study, so that a claim on new images is false as often as it is
made.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.analysis.influences import Influences
from assay.analysis.rows import pair_row
from assay.measures import Measure, Predictions, measure_called
from assay.stats import Look, spread_of_crossing
from assay.stats.look import SEEDS_ALONE

SHARES = {"2 classes, 1 to 9": (0.1, 0.9), "4 classes": (0.25, 0.25, 0.25, 0.25)}


@dataclass(frozen=True)
class Design:
    """One cell: classes, images of a seed, seeds, and the share of a pool that each seed is validated on (1: all)."""

    classes: str
    num_images: int
    seeds: int
    share: float = 1.0
    gain: float = 0.0  # of the second arm's margin, in logits


def study(design: Design, measure: Measure, rng: np.random.Generator) -> tuple[Look, Look]:
    """One study's only look, with what images add and without it."""
    shares = np.array(SHARES[design.classes])
    num_classes, pool = len(shares), round(design.num_images / design.share)
    labels = rng.choice(num_classes, size=pool, p=shares)
    names = tuple(map(str, range(num_classes)))
    difficulty, effects = rng.normal(scale=3.0, size=pool), rng.normal(scale=1.0, size=(2, pool))
    values: NDArray[np.float32] = np.zeros((2 * design.seeds, design.num_images), dtype=np.float32)
    scores = np.zeros(2 * design.seeds)
    sets: list[NDArray[np.int64]] = []
    for seed in range(design.seeds):
        images = np.arange(pool)
        if design.share < 1:
            images = np.sort(rng.choice(pool, size=design.num_images, replace=False))
        sets.append(sets[0] if sets and design.share == 1 else images)
        for arm in (0, 1):
            margin = 3 + design.gain * arm + rng.normal(scale=0.3) + difficulty[images] + effects[arm, images]
            logits = rng.normal(size=(len(images), num_classes)) + rng.normal(scale=0.3, size=num_classes)
            logits[np.arange(len(images)), labels[images]] += margin
            logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            p, run = Predictions(logs, labels[images], names), arm * design.seeds + seed
            scores[run], values[run] = measure.value(p), measure.influence(p)
    image_set = np.tile(np.arange(design.seeds), 2)
    influences = Influences(image_set, scores, values, tuple(sets))
    runs = np.arange(2 * design.seeds).reshape(2, -1)
    row = pair_row("a", "b")
    spread = spread_of_crossing(influences.crossing(row, runs, influences.images_of(image_set[: design.seeds])))
    differences = scores[runs[1]] - scores[runs[0]]
    return Look(differences, design.seeds, spread), Look(differences, design.seeds, SEEDS_ALONE)


def called(name: str, design: Design, studies: int, *, seed: int = 0) -> tuple[float, float]:
    """The share of studies that call a difference at 5 %: with what images add, and by seeds alone."""
    measure = measure_called(name, tuple(map(str, range(len(SHARES[design.classes])))))
    rng = np.random.default_rng(seed)
    looks = [study(design, measure, rng) for _ in range(studies)]
    return tuple(float(np.mean([pair[at].worked_p <= 0.05 for pair in looks])) for at in (0, 1))  # type: ignore[return-value]


NAMES = ("balanced_accuracy", "macro_auc", "log_loss", "macro_f1", "brier_score", "calibration_error", "recall:0")


def cells() -> Sequence[Design]:
    return [
        Design(classes, images, seeds, share)
        for classes in SHARES
        for images in (200, 1000)
        for seeds in (6, 10, 20)
        for share in (1.0, 0.1)
    ]


def main(studies: int, names: Sequence[str]) -> None:
    print(
        "| measure | classes | images | seeds | share | false calls | by seeds alone |\n|---|---|---|---|---|---|---|"
    )
    for name in names:
        for design in cells():
            with_images, alone = called(name, design, studies)
            cell = f"{design.classes} | {design.num_images:,} | {design.seeds} | {design.share:.0%}"
            print(f"| {name} | {cell} | {100 * with_images:.1f} | {100 * alone:.1f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2:] or NAMES)
