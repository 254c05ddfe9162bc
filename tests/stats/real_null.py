"""A real null: two arms that are one network, trained on scikit-learn's digits with 500 seeds.

``python -m tests.stats.real_null STORE`` trains what is missing in a store, and prints how often each pattern of looks
calls a difference between runs that differ in their seeds alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import assay
from assay.analysis.scores import score_of
from assay.spec import Study

from .looks_simulation import PATTERNS, called

SEEDS = 500
STUDY = Study.of(
    {
        "name": "real-null",
        "question": "Does a network differ from itself?",
        "data": {"name": "digits", "validation": 0.1},
        "network": {
            "layers": ["conv 8 3x3 relu", "maxpool 2", "dropout 0.25", "flatten", "dense classes softmax"],
        },
        "training": {"epochs": 20, "batch_size": 32},
        "seeds": {"count": SEEDS},
    }
)


def accuracies(store: Path) -> np.ndarray:
    """Validation accuracy of each seed's run [seeds]."""
    runs = assay.run(STUDY, store=store).runs
    return np.array([score_of(run) for run in runs], dtype=np.float64)


def rates(scores: np.ndarray, studies: int, *, seed: int = 1) -> dict[str, float]:
    """By pattern of looks, the share of studies that call a difference; their pairs are drawn from all runs."""
    rng = np.random.default_rng(seed)
    shares = {}
    for name, (looks, spending) in PATTERNS.items():
        n = looks[-1]
        drawn = np.array([rng.permutation(len(scores))[: 2 * n] for _ in range(studies)])
        values = scores[drawn[:, :n]] - scores[drawn[:, n:]]
        shares[name] = float(called(values, looks, spending)[-1].mean())
    return shares


if __name__ == "__main__":
    for pattern, share in rates(accuracies(Path(sys.argv[1])), 20_000).items():
        print(f"{pattern}: {share:.2%}", flush=True)
