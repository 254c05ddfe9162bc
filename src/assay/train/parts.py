"""Which images a run trains on, and which it is judged by."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..data import SplitIndices, TrainingData, split_for
from .task import Task


def split_of(task: Task, data: TrainingData) -> SplitIndices:
    """The training and validation images of a run."""
    return split_for(data, task.data, seed=task.seed, vary=task.vary, fold=task.fold)


def training_subset(task: Task, parts: SplitIndices, num_validation: int = 0) -> NDArray[np.int64]:
    """The fixed part of the training split that the fair curves are measured on.

    It is as large as the images to validate on (``num_validation``; if 0, those of the split), or where there are none
    a tenth of the training split.
    """
    wanted = num_validation or len(parts.validation) or math.ceil(len(parts.training) / 10)
    size = min(len(parts.training), wanted)
    chosen = task.streams.generator("split", 1).choice(len(parts.training), size=size, replace=False)
    return parts.training[np.sort(chosen)]
