"""Measures a network after an epoch on a few training images: the evidence of ``assay diagnose``.

Dead and saturated units and the spread of predictions; loss and accuracy with batch statistics beside the moving ones;
and after the last epoch with dropout on, with augmented images, how far kernels moved, and their gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data import TrainingData
from ..nets.build import Network
from ..nets.modules import Dropout
from ..nets.norms import BatchNorm
from ..nets.quantizer import Scales
from .kernels_moved import KernelSizes, short
from .own_parts import Pixels
from .scaling import Scaling

NUM_IMAGES = 256
_BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
_NEAR, _OFTEN = 0.01, 0.95  # a unit is saturated if 95 % of its values lie within 1 % of a bound


class HealthProbe:
    """Measures a network on the same images after every epoch, with torch's layers and in evaluation mode.

    Args:
        network: As the run's, with its initial weights, which are overwritten.
        data: The training images.
        indices: Of the images to measure on: the first 256 are taken.
        scaling: The run's.
        augmented: The images at these indices as training sees them; ``None`` where that is as they are.
    """

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        indices: NDArray[np.int64],
        scaling: Scaling,
        *,
        augmented: Callable[[NDArray[np.int64]], Pixels] | None = None,
    ) -> None:
        self.kernels = KernelSizes(network)
        network.train()
        self._normed = [module for module in network.modules() if module.training and _moves_statistics(module)]
        self.network = network.eval()
        self._dropouts = [module for module in network.modules() if isinstance(module, Dropout) and module.layer.rate]
        self.scaling, self.augmented, self._chosen = scaling, augmented, indices[:NUM_IMAGES]
        self.images = scaling.apply(data.images, self._chosen)
        self.labels = torch.from_numpy(np.asarray(data.labels[self._chosen], np.int64))
        self.num_classes = network.summary.num_classes
        self.actual = np.bincount(self.labels.numpy(), minlength=self.num_classes)
        self._dead: dict[str, float] = {}
        self._saturated: dict[str, float] = {}
        self._counts_units = False
        last = [module for module in network.children() if not isinstance(module, Scales)][-1]
        for name, module in network.named_modules():
            activation = getattr(getattr(module, "layer", None), "activation", "linear")
            if activation not in ("linear", "softmax") and module is not last:
                module.register_forward_hook(self._hook(name, activation))

    @torch.no_grad()
    def measure(self, weights: dict[str, Tensor], *, num_steps: int = 0, is_last: bool = False) -> dict[str, Any]:
        """What these weights do with the images.

        A dead unit has the same value for every image and position: it carries no information, and with ReLU no
        gradient. Only layers with a nonlinearity are counted, and only bounded ones saturate.

        Args:
            weights: As ``Network.load`` takes them.
            num_steps: Steps of training that they have had.
            is_last: Whether to measure what is worth measuring once a run only.

        Returns:
            ``{"images": n, "dead": {layer: share}, "saturated": {layer: share}, "predicted": [classes],
            "actual": [classes], "loss": nats, "accuracy": fraction, "steps": n}``. With batch normalization also
            ``"recomputed": {"loss", "accuracy"}``, with the statistics of these very images. After the last epoch
            ``"kernels"`` (``KernelSizes.changes``), ``"gradient"`` (size of the first kernel's gradient relative to
            its own, over the same of the last's), ``"spread"`` (deviation of the scaled pixels), ``"dropout"`` (loss
            and accuracy with dropout on) and ``"augmented"`` (the same with augmented images).
        """
        self.network.load(weights)
        self._dead, self._saturated, self._counts_units = {}, {}, True
        logits = self.network(self.images)
        self._counts_units = False
        health = {
            "images": len(self.images),
            "dead": dict(self._dead),
            "saturated": dict(self._saturated),
            "predicted": np.bincount(logits.argmax(1).numpy(), minlength=self.num_classes).tolist(),
            "actual": self.actual.tolist(),
            **self._scores(logits),
            "steps": num_steps,
        }
        if is_last:
            health |= self._of_the_end()
        if self._normed:  # comes last: it moves the statistics
            with _training(self._normed):
                health["recomputed"] = self._scores(self.network(self.images))
        return health

    def _of_the_end(self) -> dict[str, Any]:
        end: dict[str, Any] = {"spread": short(self.images.std().item())}
        if (kernels := self.kernels.changes(self.network)) is not None:
            end["kernels"] = kernels
        if (gradient := self._gradient()) is not None:
            end["gradient"] = gradient
        if self._dropouts:
            with _training(self._dropouts):
                end["dropout"] = self._scores(self.network(self.images))
        if self.augmented is not None:
            images = self.augmented(self._chosen)
            seen = self.scaling.apply(images, np.arange(len(images)))
            end["augmented"] = self._scores(self.network(seen))
        return end

    def _scores(self, logits: Tensor) -> dict[str, float]:
        loss = F.cross_entropy(logits.float(), self.labels).item()
        hits = (logits.argmax(1) == self.labels).float().mean().item()
        return {"loss": short(loss), "accuracy": round(hits, 4)}

    @torch.enable_grad()
    def _gradient(self) -> float | None:
        kernels = self.kernels.trained(self.network)
        if len(kernels) < 2:
            return None
        loss = F.cross_entropy(self.network(self.images[:64]).float(), self.labels[:64])
        first, last = (
            0.0 if gradient is None else (gradient.norm() / kernel.norm().clamp(min=1e-30)).item()
            for gradient, kernel in zip(
                torch.autograd.grad(loss, (kernels[0], kernels[-1]), allow_unused=True),
                (kernels[0], kernels[-1]),
                strict=True,
            )
        )
        return short(first / last) if last > 0 else None

    def _hook(self, name: str, activation: str) -> Any:
        def measure(module: nn.Module, inputs: Any, values: Tensor) -> None:
            if not self._counts_units:
                return
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


def _moves_statistics(module: nn.Module) -> bool:
    if isinstance(module, BatchNorm):
        return True
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None


@contextmanager
def _training(modules: list[Any]) -> Iterator[None]:
    """These modules, and no others, in training mode."""
    for module in modules:
        module.training = True
    try:
        yield
    finally:
        for module in modules:
            module.training = False
