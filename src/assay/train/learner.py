"""The interface between the engine and a network with its optimizer, which each path implements."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..spec import Distillation
from .optimizers import Optimizer
from .updates import averaged


@dataclass(frozen=True)
class Batch:
    """Images by index, and their targets.

    Args:
        images: uint8 [n, height, width, channels].
        indices: Which of them, in order [batch].
        classes: int64 [batch].
        partners: With mixup or CutMix, the other class of each image [batch].
        shares: With either, the first class's share of each target, float32 [batch].
        teacher: With distillation, what the teacher says of the images: softened probabilities, float32
            [batch, classes].
    """

    images: NDArray[np.uint8]
    indices: NDArray[np.int64]
    classes: NDArray[np.int64]
    partners: NDArray[np.int64] | None = None
    shares: NDArray[np.float32] | None = None
    teacher: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class Objective:
    """What modifies cross-entropy in training (class weights, label smoothing); evaluation has none of it.

    The loss of a batch is the sum over its images of weight x cross-entropy with the smoothed target, over the number
    of its images (Keras's, which does not divide by the sum of weights). With mixup or CutMix, each of the two classes
    brings its share, weighted by its own weight.

    Args:
        class_weights: float32 [classes]; 1 for all if ``None``.
        label_smoothing: Targets are (1 - this) x one-hot + this / classes.
        distillation: How much the teacher counts beside all of this, and at which temperature.
    """

    class_weights: NDArray[np.float32] | None = None
    label_smoothing: float = 0.0
    distillation: Distillation | None = None


PLAIN = Objective()


class Learner(ABC):
    """A network with its optimizer. Tensors have the names and shapes of ``nets.build.Network``."""

    path: str  # "fused", "plain" or "cuda"
    precision: str
    optimizer: Optimizer

    @abstractmethod
    def train_batch(
        self, batch: Batch, *, step: int, learning_rate: float
    ) -> tuple[float, int] | tuple[Tensor, Tensor]:
        """One step, counted from 0; the summed loss (nats, without penalties) and hits of the batch, before the step.

        The loss is the objective's: cross-entropy, with class weights and label smoothing where there are any. A
        learner on a device returns tensors without dimensions, so that nothing waits for the step to end.
        """

    def begin_epoch(self, epoch: int, steps_per_epoch: int) -> None:
        """Announce the epoch (from 1) that begins, of so many steps: blocks of a base may begin to train with it."""
        self.optimizer.begin_epoch(epoch, steps_per_epoch)

    def end_epoch(self, epoch: int) -> None:
        """Announce that an epoch (from 1) has taken its last step."""
        self.optimizer.end_epoch(epoch)

    @property
    def members(self) -> tuple[Learner, ...]:
        """The networks that train, each by itself: of an ensemble several."""
        return (self,)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the weights are those that count: the average of several steps or epochs, where one is kept."""
        with averaged(self.optimizer):
            yield

    @abstractmethod
    def score(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> tuple[float, int]:
        """Summed cross-entropy (nats) and the number of hits in evaluation mode."""

    @abstractmethod
    def logits_at(self, images: NDArray[np.uint8], indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """What the network says of images in evaluation mode, before the softmax [indices, classes]."""

    def hits(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which of the images are hits in evaluation mode [indices]: those that ``score`` counts.

        The first of equal logits counts, in the kernels and in torch.
        """
        return np.asarray(self.logits_at(images, indices).argmax(1) == labels[indices])

    @abstractmethod
    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Of images as they are stored, in evaluation mode [n, classes]."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Copies of parameters and moving statistics, without those of a base that never train."""

    @abstractmethod
    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        """Take over parameters and moving statistics."""

    @abstractmethod
    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """A flat vector (an optimizer's slot) by parameter."""

    @abstractmethod
    def join(self, tensors: dict[str, Tensor]) -> Tensor:
        """The inverse of ``split``."""

    def slots(self) -> dict[str, Tensor]:
        """Copies of the optimizer's state, on the CPU, as ``optimizer.SLOT.PARAMETER``."""
        return {
            f"optimizer.{slot}.{name}": value.to("cpu", copy=True)
            for slot, vector in self.optimizer.state.items()
            for name, value in self.split(vector).items()
        }

    def load_slots(self, tensors: dict[str, Tensor]) -> None:
        """Take over an optimizer's state; other names among ``tensors`` are ignored."""
        for slot, vector in self.optimizer.state.items():
            prefix = f"optimizer.{slot}."
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            vector.copy_(self.join(own))
