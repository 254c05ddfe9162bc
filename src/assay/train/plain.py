"""The plain path: torch layers and autograd, for every network. In float32 the fused path is tested against it.

In bfloat16 layers compute by torch's autocast; weights, gradients and the loss are float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from .. import spec
from ..nets.build import ALL, Network
from ..nets.own.network import OwnNetwork
from ..spec.training import Precision
from .groups import groups_of
from .learner import PLAIN, Batch, Learner, Objective
from .own_parts import OwnOptimizer, loss_of
from .parameters import FlatParameters
from .scaling import Scaling
from .teacher_loss import distilled
from .updates import update_rule

EVALUATION_BATCH = 500


class PlainLearner(Learner):
    """A torch network. Images are scaled per batch."""

    path = "plain"

    def __init__(
        self,
        network: Network,
        optimizer: spec.Optimizer,
        scaling: Scaling,
        *,
        training: spec.Training | None = None,
        objective: Objective = PLAIN,
        precision: Precision = "float32",
    ) -> None:
        self.network, self.precision = network, precision
        if isinstance(network, OwnNetwork):  # which rounds by itself, also where it is used elsewhere
            network.rounds = precision == "bfloat16"
        network.open(ALL)
        self.parameters = FlatParameters(network)
        network.open(1)
        values, parts = self.parameters.values, self.parameters.slices()
        groups = groups_of(network.summary, self.parameters.named_slices())
        trained = [value for value in network.parameters() if value.requires_grad]
        self._own = OwnOptimizer(optimizer, values, trained) if optimizer.own is not None else None
        self.optimizer = update_rule(
            optimizer, values, training=training, parts=parts, groups=groups, own=self._own,
            matrices=self.parameters.matrices(network.summary),
        )  # fmt: skip
        self._loss = loss_of(training) if training is not None else None
        self.scaling = scaling
        weights = objective.class_weights
        self._class_weights = None if weights is None else torch.from_numpy(weights)
        self._smoothing = objective.label_smoothing
        self._distillation = objective.distillation

    def begin_epoch(self, epoch: int, steps_per_epoch: int) -> None:
        self.network.open(epoch)
        super().begin_epoch(epoch, steps_per_epoch)

    def train_batch(self, batch: Batch, *, step: int, learning_rate: float) -> tuple[float, int]:
        self.network.train()
        self.network.set_step(step)
        self.parameters.clear_gradients()
        targets = torch.from_numpy(batch.classes)
        logits = self._logits(batch.images, batch.indices)
        if batch.partners is None or batch.shares is None:
            if self._loss is not None:
                loss = self._loss(logits, targets)
            elif self._class_weights is None:
                loss = cross_entropy(logits, targets, label_smoothing=self._smoothing)
            else:
                loss = self._losses(logits, targets).mean()
        else:
            shares = torch.from_numpy(batch.shares)
            one, other = self._losses(logits, targets), self._losses(logits, torch.from_numpy(batch.partners))
            loss = (shares * one + (1 - shares) * other).mean()
        if self._distillation is not None and batch.teacher is not None:
            loss = distilled(loss, logits, torch.from_numpy(batch.teacher), self._distillation)
        penalty = self.network.penalty()
        (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step(self.parameters.gradients, learning_rate, step + 1)
        return loss.item() * len(batch), int((logits.detach().argmax(1) == targets).sum())

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The objective of each image [batch]."""
        losses = cross_entropy(logits, targets, reduction="none", label_smoothing=self._smoothing)
        return losses if self._class_weights is None else self._class_weights[targets] * losses

    def score(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> tuple[float, int]:
        loss, hits = 0.0, 0
        for logits, targets in self._evaluated(images, labels, indices):
            loss += cross_entropy(logits, targets, reduction="sum").item()
            hits += int((logits.argmax(1) == targets).sum())
        return loss, hits

    def logits_at(self, images: NDArray[np.uint8], indices: NDArray[np.int64]) -> NDArray[np.float32]:
        places = np.zeros(len(images), dtype=np.int64)  # no labels are needed
        batches = [logits for logits, _ in self._evaluated(images, places, indices)]
        values: NDArray[np.float32] = torch.cat(batches).numpy()
        return values

    @torch.no_grad()
    def _evaluated(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits and targets, batch by batch."""
        self.network.eval()
        for start in range(0, len(indices), EVALUATION_BATCH):
            chosen = indices[start : start + EVALUATION_BATCH]
            targets = torch.from_numpy(np.asarray(labels[chosen], dtype=np.int64))
            yield self._logits(images, chosen), targets

    @torch.no_grad()
    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        self.network.eval()
        starts = range(0, len(images), EVALUATION_BATCH)
        batches = [self._logits(images, np.arange(i, min(i + EVALUATION_BATCH, len(images)))) for i in starts]
        logits: NDArray[np.float32] = torch.cat(batches).numpy()
        return logits

    def _logits(self, images: NDArray[np.uint8], indices: NDArray[np.int64]) -> Tensor:
        pixels = self.scaling.apply(images, indices)
        if self.precision == "float32" or isinstance(self.network, OwnNetwork):
            return self.network(pixels)  # type: ignore[no-any-return]
        with torch.autocast("cpu", torch.bfloat16):
            return self.network(pixels).float()  # type: ignore[no-any-return]

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.network.state().items()}

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        self.network.load(tensors)

    def slots(self) -> dict[str, Tensor]:
        return {**super().slots(), **(self._own.slots() if self._own is not None else {})}

    def load_slots(self, tensors: dict[str, Tensor]) -> None:
        super().load_slots(tensors)
        if self._own is not None:
            self._own.load_slots(tensors)

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        return self.parameters.split(vector)

    def join(self, tensors: dict[str, Tensor]) -> Tensor:
        return self.parameters.join(tensors)
