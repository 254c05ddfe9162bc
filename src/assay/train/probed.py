"""The health probe of a run: which images it looks at, and how training varies them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..data import TrainingData
from ..nets.build import Network
from .augment import augment
from .features import Features
from .health import HealthProbe
from .own_parts import Pixels
from .scaling import Scaling
from .task import Task


def probe_of(
    task: Task,
    data: TrainingData,
    subset: NDArray[np.int64],
    network: Network,
    scaling: Scaling,
    own: Callable[[Pixels, int], Pixels] | None,
) -> HealthProbe:
    """The probe of a run.

    Args:
        task: The run.
        data: Its training images.
        subset: Those that the fair curves are measured on, of which the probe draws its own.
        network: A network of the probe's own, with the run's initial weights.
        scaling: The run's.
        own: The arm's own augmentation.
    """
    chosen = task.streams.generator("split", 2).permutation(subset)
    settings = task.arm.training.augmentation
    if settings is None or isinstance(data, Features):
        return HealthProbe(network, data, chosen, scaling)

    def augmented(indices: NDArray[np.int64]) -> Pixels:
        # As in training's first step, but for mixup and CutMix, whose images have two labels.
        images, key = np.take(data.images, indices, axis=0), task.streams.key("augment", 0)
        if settings.moves_pixels or settings.cutout:
            images = augment(images, settings, key, indices)
        return images if own is None else own(images, key)

    return HealthProbe(network, data, chosen, scaling, augmented=augmented)
