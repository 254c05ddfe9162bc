"""The learning-rate range test: a short training whose learning rate rises from step to step.

Source: Smith (2017), "Cyclical learning rates for training neural networks", WACV.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data import TrainingData
from .engine import batch_of, learner_of, split_of
from .features import features_of
from .own_parts import augmentation_of
from .task import Task

SMOOTHING = 0.95  # the share of the past in the smoothed loss
DIVERGED = 4.0  # times the lowest smoothed loss: then nothing more is to be learned
_FALL = 0.01  # of the first loss: less is no fall
_WINDOW = 1.0  # decades that a line is fitted to: slopes between neighbouring steps are noise
_FEWEST = 5  # steps that a line is fitted to


@dataclass(frozen=True)
class RateCurve:
    """The loss of each step of one learning-rate range test.

    Args:
        seed: The seed of its images, their order and the initial weights.
        rates: Learning rates, in increasing order [steps].
        losses: The loss of each step's batch before the step, in nats for each image [steps].
    """

    seed: int
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """The losses as an exponential moving average with bias correction [steps]."""
        mean, smoothed = 0.0, np.empty(len(self.losses))
        for index, loss in enumerate(self.losses):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            smoothed[index] = mean / (1 - SMOOTHING ** (index + 1))
        return smoothed

    @property
    def steepest(self) -> float:
        """The learning rate around which the loss falls fastest by decade of the learning rate.

        A line is fitted to the losses of each window of a decade (half of what was measured where that is less) before
        the lowest smoothed loss; the middle of the steepest one counts. ``nan`` where the smoothed loss never falls by
        more than 1 %.
        """
        smoothed = self.smoothed
        last = int(smoothed.argmin()) + 1
        if smoothed.min() > (1 - _FALL) * smoothed[0] or last < _FEWEST:
            return math.nan
        decades, losses = np.log10(self.rates[:last]), self.losses[:last]
        half = min(_WINDOW, (decades[-1] - decades[0]) / 2) / 2
        slopes = {}
        for middle in decades:
            inside = np.abs(decades - middle) <= half + 1e-9
            is_whole = middle - half >= decades[0] - 1e-9 and middle + half <= decades[-1] + 1e-9
            if is_whole and inside.sum() >= _FEWEST:
                slopes[middle] = float(np.polyfit(decades[inside], losses[inside], 1)[0])
        if not slopes:
            return math.nan
        return float(10 ** min(slopes, key=lambda middle: slopes[middle]))

    @property
    def lowest(self) -> float:
        """The learning rate at the lowest smoothed loss: above it training begins to fail."""
        return float(self.rates[int(self.smoothed.argmin())])


def rate_curve(task: Task, data: TrainingData, *, low: float, high: float, steps: int, threads: int = 1) -> RateCurve:
    """One range test: training steps as the run's own, with learning rates from ``low`` to ``high``, evenly by decade.

    It ends where the loss is no number, or several times the lowest. Of an ensemble it is the first member's; a teacher
    does not take part.

    Args:
        task: The run, of which the schedule does not count.
        data: Its training images.
        low, high: The first and the last learning rate.
        steps: Training steps.
        threads: Threads to train with.
    """
    one = task.members[0]
    training = one.arm.training.model_copy(update={"distillation": None, "swa": None})
    one = dataclasses.replace(one, arm=one.arm.model_copy(update={"training": training, "teacher": None}))
    data = features_of(one, data)
    chosen, size = split_of(one, data).training, training.batch_size
    learner, own = learner_of(one, data, threads=threads), augmentation_of(training)
    per_epoch = math.ceil(len(chosen) / size)
    losses: list[float] = []
    rates = np.geomspace(low, high, steps)
    mean, lowest = 0.0, math.inf
    order = chosen
    for step, rate in enumerate(rates):
        epoch, index = divmod(step, per_epoch)
        if index == 0:
            order = chosen[one.streams.generator("order", epoch).permutation(len(chosen))]
            learner.begin_epoch(epoch + 1, per_epoch)
        batch = batch_of(one, data, order[index * size : (index + 1) * size], step, own, epoch=epoch)
        loss = float(learner.train_batch(batch, step=step, learning_rate=float(rate))[0]) / len(batch)
        if not math.isfinite(loss):
            break
        losses.append(loss)
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** len(losses))
        lowest = min(lowest, smoothed)
        if smoothed > DIVERGED * lowest:
            break
    return RateCurve(task.seed, rates[: len(losses)], np.array(losses))
