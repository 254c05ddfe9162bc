"""The fused path as the engine sees it: a network on kernels, with its optimizer."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ... import spec
from ...nets import Summary
from ...seeds import Streams
from ..learner import PLAIN, Batch, Learner, Objective
from ..muon import matrices_of
from ..scaling import Scaling
from ..updates import update_rule
from .network import FusedNetwork

EVALUATION_BATCH = 128  # no larger: activations of a batch should stay in the cache


class FusedLearner(Learner):
    """A network on the fused kernels.

    Raises:
        NotFused: The kernels do not take this network.
    """

    path = "fused"

    def __init__(
        self,
        summary: Summary,
        optimizer: spec.Optimizer,
        scaling: Scaling,
        *,
        precision: Literal["float32", "bfloat16"],
        batch_size: int,
        streams: Streams,
        threads: int,
        training: spec.Training | None = None,
        objective: Objective = PLAIN,
    ) -> None:
        self.precision = precision
        self.network = FusedNetwork(
            summary,
            precision=precision,
            max_batch=max(batch_size, EVALUATION_BATCH),
            streams=streams,
            threads=threads,
            objective=objective,
        )
        self.optimizer = update_rule(
            optimizer, self.network.values, training=training, parts=self.network.parts(),
            matrices=matrices_of(summary, self.network.named_parts(), has_outputs_first=False),
        )  # fmt: skip
        self._scale = scaling.offset.numpy(), scaling.factor.numpy()

    def train_batch(self, batch: Batch, *, step: int, learning_rate: float) -> tuple[float, int]:
        self.network.put_images(batch.images, batch.indices, *self._scale)
        result = self.network.train_batch(
            batch.classes, step=step, partners=batch.partners, shares=batch.shares, teacher=batch.teacher
        )
        self.optimizer.step(self.network.gradients, learning_rate, step + 1)
        return result

    def score(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> tuple[float, int]:
        self.network.pack()
        loss, hits = 0.0, 0
        # Sums are added batch by batch, in order, so that a score does not depend on the training batch size.
        for start in range(0, len(indices), EVALUATION_BATCH):
            chosen = indices[start : start + EVALUATION_BATCH]
            self.network.put_images(images, chosen, *self._scale)
            more_loss, more_hits = self.network.score(np.asarray(labels[chosen], dtype=np.int64))
            loss, hits = loss + more_loss, hits + more_hits
        return loss, hits

    def logits_at(self, images: NDArray[np.uint8], indices: NDArray[np.int64]) -> NDArray[np.float32]:
        self.network.pack()
        batches = []
        for start in range(0, len(indices), EVALUATION_BATCH):
            chosen = indices[start : start + EVALUATION_BATCH]
            self.network.put_images(images, chosen, *self._scale)
            batches.append(np.array(self.network.logits(len(chosen)), dtype=np.float32))
        return np.concatenate(batches)

    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        self.network.pack()
        pixels = np.ascontiguousarray(images)
        logits = []
        for start in range(0, len(images), EVALUATION_BATCH):
            chosen = np.arange(start, min(start + EVALUATION_BATCH, len(images)))
            self.network.put_images(pixels, chosen, *self._scale)
            logits.append(self.network.logits(len(chosen)).copy())
        return np.concatenate(logits)

    def weights(self) -> dict[str, Tensor]:
        return self.network.state()

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        self.network.load(tensors)

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        return self.network.split(vector)

    def join(self, tensors: dict[str, Tensor]) -> Tensor:
        return self.network.join(tensors)
