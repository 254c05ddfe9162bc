"""Measures dead and saturated units and the spread of predictions after an epoch, on a few training images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data import TrainingData
from ..nets.build import Network
from .scaling import Scaling

NUM_IMAGES = 256
_BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_NEAR, _OFTEN = 0.01, 0.95  # a unit is saturated if 95 % of its values lie within 1 % of a bound


class HealthProbe:
    """Measures a network on the same images after every epoch, with torch's layers and in evaluation mode.

    Args:
        network: As the run's; its weights are overwritten.
        data: The training images.
        indices: Of the images to measure on: the first 256 are taken.
        scaling: The run's.
    """

    def __init__(self, network: Network, data: TrainingData, indices: NDArray[np.int64], scaling: Scaling) -> None:
        self.network = network.eval()
        chosen = indices[:NUM_IMAGES]
        self.images = scaling.apply(data.images, chosen)
        self.num_classes = network.summary.num_classes
        self.actual = np.bincount(np.asarray(data.labels[chosen]), minlength=self.num_classes)
        self._dead: dict[str, float] = {}
        self._saturated: dict[str, float] = {}
        last = list(network.children())[-1]
        for name, module in network.named_modules():
            activation = getattr(getattr(module, "layer", None), "activation", "linear")
            if activation not in ("linear", "softmax") and module is not last:
                module.register_forward_hook(self._hook(name, activation))

    @torch.no_grad()
    def measure(self, weights: dict[str, Tensor]) -> dict[str, Any]:
        """Shares of dead and saturated units by layer, and how many images are predicted to be of each class.

        A dead unit has the same value for every image and position: it carries no information, and with ReLU no
        gradient. Only layers with a nonlinearity are counted, and only bounded ones saturate.

        Returns:
            ``{"images": n, "dead": {layer: share}, "saturated": {layer: share}, "predicted": [classes],
            "actual": [classes]}``.
        """
        self.network.load(weights)
        self._dead, self._saturated = {}, {}
        classes = self.network(self.images).argmax(1).numpy()
        return {
            "images": len(self.images),
            "dead": dict(self._dead),
            "saturated": dict(self._saturated),
            "predicted": np.bincount(classes, minlength=self.num_classes).tolist(),
            "actual": self.actual.tolist(),
        }

    def _hook(self, name: str, activation: str) -> Any:
        def measure(module: nn.Module, inputs: Any, values: Tensor) -> None:
            last = values.permute(0, 2, 3, 1) if values.dim() == 4 else values
            units = last.reshape(-1, last.shape[-1])  # [images and places, units], as they lie in memory
            dead = (units == units[0]).all(0).float().mean().item()
            self._dead[name] = round(dead, 4)
            if activation in _BOUNDS:
                low, high = _BOUNDS[activation]
                reach = _NEAR * (high - low)
                near = ((units < low + reach) | (units > high - reach)).float().mean(0)
                self._saturated[name] = round((near > _OFTEN).float().mean().item(), 4)

        return measure


def epochs_between(num_training: int) -> int:
    """How many epochs lie between measurements, so that they cost a percent or two of the training."""
    return max(1, math.ceil(50 * NUM_IMAGES / num_training))
