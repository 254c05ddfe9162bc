"""How large a study may be: beyond these bounds it is refused before memory is taken for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import Problem

MAX_ARMS = 10_000
MAX_SEEDS = 100_000
MAX_RUNS = 1_000_000
MAX_EPOCHS = 100_000
MAX_BATCH = 1_000_000
MAX_COUNT = 1_000_000  # of epochs to wait, and the like
MAX_ITERATIONS = 100  # of Muon: more change nothing
MAX_PIXELS_MOVED = 10_000  # by augmentation
MAX_NUMBER = 2**53  # of a search: whole numbers up to here are exact in every format that they pass through
MAX_PARAMETERS = 10**9  # of a network: 4 GB, and the optimizer's state besides
MAX_VALUES = 2**28  # of a layer's output for one image: 1 GiB
MAX_LINES = 10_000  # of one list of layers, before blocks are repeated
MAX_FILE_BYTES = 4 << 20
MAX_MEMBERS = 100  # of an ensemble, which are trained side by side
MAX_SEARCH_SEED = 10**12
MAX_NESTING = 64


def size_problems(num_templates: int, factor_sizes: Iterable[int], *, num_seeds: int, num_folds: int) -> list[Problem]:
    """What is wrong with the number of arms, or of runs, that a study would have.

    Args:
        num_templates: Arms that are crossed with the factors.
        factor_sizes: The number of levels of each factor.
        num_seeds: Seeds per arm, at most.
        num_folds: Folds per seed.
    """
    num_arms = num_templates * math.prod(factor_sizes)
    if num_arms > MAX_ARMS:
        what = f"the study would have {num_arms:,} arms"
        return [
            Problem(what, f"give fewer levels or factors: {MAX_ARMS:,} arms are the most; or search them", "factors")
        ]
    num_runs = num_arms * num_seeds * num_folds
    if num_runs > MAX_RUNS:
        what = f"the study would have {num_runs:,} runs"
        return [Problem(what, f"give fewer seeds or arms: {MAX_RUNS:,} runs are the most", "seeds")]
    return []


def is_too_deep(value: Any) -> bool:
    """Whether lists and tables lie in each other more than ``MAX_NESTING`` deep. It does not recurse."""
    level = [value]
    for _ in range(MAX_NESTING):
        level = [
            item
            for outer in level
            if isinstance(outer, list | tuple | Mapping)
            for item in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
        if not level:
            return False
    return True
