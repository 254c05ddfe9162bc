"""Several networks that train side by side, each by itself, and answer together.

Source: Lakshminarayanan, Pritzel and Blundell (2017), "Simple and scalable predictive uncertainty estimation using deep
ensembles": the mean of the members' probabilities.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..nets.ensemble import member_name
from .learner import Batch, Learner

_BATCH = 500


class EnsembleLearner(Learner):
    """Learners as one: each trains as it would alone, and the mean of their probabilities is what is evaluated.

    Names of weights and of optimizers' state begin with the member's: ``member1.conv1.kernel``.

    Args:
        members: Networks of one kind, on one path.
    """

    def __init__(self, members: Sequence[Learner]) -> None:
        self._members = tuple(members)
        self.path, self.precision = self._members[0].path, self._members[0].precision
        self.optimizer = self._members[0].optimizer

    @property
    def members(self) -> tuple[Learner, ...]:
        return self._members

    def train_batch(self, batch: Batch, *, step: int, learning_rate: float) -> Any:
        """Not of an ensemble: each of its members trains on batches of its own.

        Raises:
            TypeError: Always.
        """
        raise TypeError("an ensemble's members train one by one")

    def begin_epoch(self, epoch: int, steps_per_epoch: int) -> None:
        for member in self._members:
            member.begin_epoch(epoch, steps_per_epoch)

    def end_epoch(self, epoch: int) -> None:
        for member in self._members:
            member.end_epoch(epoch)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for member in self._members:
                stack.enter_context(member.averaged())
            yield

    def score(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> tuple[float, int]:
        loss, hits = 0.0, 0
        for start in range(0, len(indices), _BATCH):
            chosen = indices[start : start + _BATCH]
            targets = np.asarray(labels[chosen], np.int64)
            logs = self.logits_at(images, chosen)
            loss -= float(logs[np.arange(len(chosen)), targets].sum(dtype=np.float64))
            hits += int((logs.argmax(1) == targets).sum())
        return loss, hits

    def logits_at(self, images: NDArray[np.uint8], indices: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._together(lambda member: member.logits_at(images, indices))

    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        return self._together(lambda member: member.logits(images))

    def _together(self, answer: Callable[[Learner], NDArray[np.float32]]) -> NDArray[np.float32]:
        """Logarithms of the members' mean probabilities [n, classes], which are logits of these probabilities."""
        logs = []
        for member in self._members:
            logits = answer(member).astype(np.float64)
            shifted = logits - logits.max(1, keepdims=True)
            logs.append(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))
        mean: NDArray[np.float64] = np.logaddexp.reduce(logs, axis=0) - np.log(len(logs))
        return mean.astype(np.float32)

    def weights(self) -> dict[str, Tensor]:
        return self._named(lambda member: member.weights())

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        for member, own in self._own(tensors):
            member.load_weights(own)

    def slots(self) -> dict[str, Tensor]:
        return self._named(lambda member: member.slots())

    def load_slots(self, tensors: dict[str, Tensor]) -> None:
        for member, own in self._own(tensors):
            member.load_slots(own)

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Of a vector of all members [members, size]: each row by parameter."""
        rows = zip(self._members, vector, strict=True)
        parts = {index: member.split(row) for index, (member, row) in enumerate(rows)}
        return {f"{member_name(index)}.{name}": value for index, part in parts.items() for name, value in part.items()}

    def join(self, tensors: dict[str, Tensor]) -> Tensor:
        import torch

        return torch.stack([member.join(own) for member, own in self._own(tensors)])

    def _named(self, tensors_of: Callable[[Learner], dict[str, Tensor]]) -> dict[str, Tensor]:
        return {
            f"{member_name(index)}.{name}": value
            for index, member in enumerate(self._members)
            for name, value in tensors_of(member).items()
        }

    def _own(self, tensors: dict[str, Tensor]) -> Iterator[tuple[Learner, dict[str, Tensor]]]:
        for index, member in enumerate(self._members):
            prefix = f"{member_name(index)}."
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            yield member, own
