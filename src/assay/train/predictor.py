"""A finished network on torch's layers, in float32: the same figures on any machine, whichever code trained it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..data import TrainingData
from ..nets import parse
from ..nets.build import Network, build
from .engine import split_of
from .scaling import Scaling, scaling_of
from .task import Task

BATCH = 500


class Predictor:
    """A network in evaluation mode, with the scaling of what it was trained on."""

    def __init__(self, network: Network, scaling: Scaling) -> None:
        self.network = network.eval()
        self.scaling = scaling

    @torch.no_grad()
    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        """Take over parameters and moving statistics."""
        for name, value in self.network.state_dict().items():
            value.copy_(tensors[name])

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
        """The classes' probabilities, float32 [n, classes]."""
        parts = (np.arange(start, min(start + BATCH, len(images))) for start in range(0, len(images), BATCH))
        found = [torch.softmax(self.network(self.scaling.apply(images, part)), 1) for part in parts]
        probabilities: NDArray[np.float32] = torch.cat(found).numpy()
        return probabilities

    @torch.no_grad()
    def hits(
        self, images: NDArray[np.uint8] | NDArray[np.float32], labels: NDArray[np.int64]
    ) -> tuple[float, NDArray[np.bool_]]:
        """Mean cross-entropy (nats), and which images are classified correctly [n]."""
        loss, hits = 0.0, np.empty(len(labels), dtype=bool)
        for start in range(0, len(labels), BATCH):
            chosen = np.arange(start, min(start + BATCH, len(labels)))
            targets = torch.from_numpy(np.asarray(labels[chosen], dtype=np.int64))
            logits = self.network(self.scaling.apply(images, chosen))
            loss += cross_entropy(logits, targets, reduction="sum").item()
            hits[chosen] = (logits.argmax(1) == targets).numpy()
        return loss / len(labels), hits


def predictor_of(task: Task, data: TrainingData) -> Predictor:
    """The task's network, scaled as in training; its weights are still to be loaded."""
    height, width, channels = data.images.shape[1:]
    network = build(parse(task.arm.layers), (height, width, channels), task.num_classes, task.streams)
    return Predictor(network, scaling_of(data.images, task.data.scaling, split_of(task, data).training))
