"""A training step as a CUDA graph: its inputs in tensors that keep their address, and the graph's capture and replay.

On a GPU a small network's step is bound by kernel launches, of which a graph makes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..learner import Batch

WARM_UP = 3  # steps before a graph is captured: libraries choose algorithms and take memory in the first ones


@dataclass(frozen=True)
class StepInputs:
    """One step of one run, or of several [runs, ...], as two tensors: two copies to the device bring it all.

    Args:
        integers: int64 [..., 3 * batch + 2 * dropout layers]: indices, classes, mixup's other classes, dropout's keys.
        reals: float64 [..., 2 + batch]: learning rate, step from 1, mixup's shares.
    """

    integers: Tensor
    reals: Tensor

    @classmethod
    def of(cls, batch: Batch, keys: NDArray[np.int64], *, step: int, learning_rate: float) -> StepInputs:
        """A step's inputs on the CPU. Without mixup, every image keeps all of itself.

        Args:
            batch: The images and their targets.
            keys: Of ``Network.dropout_keys``.
            step: Counted from 0.
            learning_rate: Of this step.
        """
        partners = batch.classes if batch.partners is None else batch.partners
        shares = np.ones(len(batch)) if batch.shares is None else batch.shares
        integers = np.concatenate([batch.indices, batch.classes, partners, keys.ravel()])
        return cls(torch.from_numpy(integers), torch.from_numpy(np.concatenate([[learning_rate, step + 1], shares])))

    def to(self, device: torch.device) -> StepInputs:
        return StepInputs(self.integers.to(device), self.reals.to(device))

    def copy_(self, other: StepInputs) -> None:
        """Take over another step's inputs, in place."""
        self.integers.copy_(other.integers, non_blocking=True)
        self.reals.copy_(other.reals, non_blocking=True)

    @property
    def size(self) -> int:
        """Images in the batch."""
        return self.reals.shape[-1] - 2

    @property
    def indices(self) -> Tensor:
        return self.integers[..., : self.size]

    @property
    def classes(self) -> Tensor:
        return self.integers[..., self.size : 2 * self.size]

    @property
    def partners(self) -> Tensor:
        return self.integers[..., 2 * self.size : 3 * self.size]

    @property
    def keys(self) -> Tensor:
        """int64 [..., dropout layers, 2]."""
        keys = self.integers[..., 3 * self.size :]
        return keys.reshape(*keys.shape[:-1], -1, 2)

    @property
    def shares(self) -> Tensor:
        return self.reals[..., 2:].float()


class DeviceCopies:
    """Arrays of images on a device, each copied there once, as it is stored."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._copies: dict[
            int, tuple[NDArray[np.generic], Tensor]
        ] = {}  # the array is kept, so that its id stays its own

    def __getitem__(self, images: NDArray[np.generic]) -> Tensor:
        if id(images) not in self._copies:
            self._copies[id(images)] = (images, on_device(images, self._device))
        return self._copies[id(images)][1]


def on_device(images: NDArray[np.generic], device: torch.device) -> Tensor:
    """A copy of an array, which may be a read-only memory map."""
    return torch.from_numpy(np.array(images)).to(device)


class Replay:
    """Calls a step whose inputs are always the same tensors: on a CUDA device from a graph, once it has warmed up.

    Args:
        step: Reads and writes only memory that stays, and returns one tensor.
        device: On the CPU every call is the step itself, which is what a graph must equal.
    """

    def __init__(self, step: Callable[[], Tensor], device: torch.device) -> None:
        self._step = step
        self._num_eager = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result = torch.empty(0)
        self._side = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def __call__(self) -> Tensor:
        if self._side is None:
            return self._step()
        if self._graph is None and self._num_eager < WARM_UP:
            self._num_eager += 1
            return self._on_side_stream(self._side)
        if self._graph is None:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):  # records, and computes nothing
                self._result = self._step()
            self._graph = graph
        self._graph.replay()
        return self._result.clone()

    def _on_side_stream(self, side: torch.cuda.Stream) -> Tensor:
        """The step on a stream of its own, as torch asks of the steps before a capture."""
        current = torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            result = self._step()
        current.wait_stream(side)
        return result
