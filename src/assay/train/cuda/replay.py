"""A training step as a CUDA graph: its inputs in tensors that keep their address, and the graph's capture and replay.

On a GPU a small network's step is bound by kernel launches, of which a graph makes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakMethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..learner import Batch

WARM_UP = 3  # steps before a graph is captured: libraries choose algorithms and take memory in the first ones


@dataclass(frozen=True)
class StepInputs:
    """One step of one run, or of several [runs, ...], as one tensor: one copy to the device brings it all.

    Args:
        words: int64 [..., 2 + 4 * batch + 2 * dropout layers]: learning rate, step from 1 and mixup's shares, whose
            bits are float64; then indices, classes, mixup's other classes, dropout's keys.
        size: Images in the batch.
    """

    words: Tensor
    size: int

    @classmethod
    def of(cls, batch: Batch, keys: NDArray[np.int64], *, step: int, learning_rate: float) -> StepInputs:
        """A step's inputs on the CPU. Without mixup, every image keeps all of itself.

        Args:
            batch: The images and their targets.
            keys: Of ``Network.dropout_keys``.
            step: Counted from 0.
            learning_rate: Of this step.
        """
        size = len(batch)
        words = np.empty(2 + 4 * size + keys.size, np.int64)
        reals = words[: 2 + size].view(np.float64)
        reals[0], reals[1] = learning_rate, step + 1
        reals[2:] = 1.0 if batch.shares is None else batch.shares
        words[2 + size : 2 + 2 * size] = batch.indices
        words[2 + 2 * size : 2 + 3 * size] = batch.classes
        words[2 + 3 * size : 2 + 4 * size] = batch.classes if batch.partners is None else batch.partners
        words[2 + 4 * size :] = keys.ravel()
        return cls(torch.from_numpy(words), size)

    @classmethod
    def stacked(cls, each: Sequence[StepInputs]) -> StepInputs:
        """Those of several runs [runs, ...]."""
        return cls(torch.stack([one.words for one in each]), each[0].size)

    def of_run(self, run: int) -> StepInputs:
        """One run's among those of several."""
        return StepInputs(self.words[run], self.size)

    def to(self, device: torch.device) -> StepInputs:
        return StepInputs(sent(self.words, device), self.size)

    def copy_(self, other: StepInputs) -> None:
        """Take over another step's inputs, in place."""
        self.words.copy_(pinned(other.words, self.words.device), non_blocking=True)

    @property
    def reals(self) -> Tensor:
        """float64 [..., 2 + batch]: learning rate, step from 1, mixup's shares."""
        return self.words[..., : 2 + self.size].view(torch.float64)

    @property
    def indices(self) -> Tensor:
        return self._part(1)

    @property
    def classes(self) -> Tensor:
        return self._part(2)

    @property
    def partners(self) -> Tensor:
        return self._part(3)

    def _part(self, number: int) -> Tensor:
        return self.words[..., 2 + number * self.size : 2 + (number + 1) * self.size]

    @property
    def keys(self) -> Tensor:
        """int64 [..., dropout layers, 2]."""
        keys = self.words[..., 2 + 4 * self.size :]
        return keys.reshape(*keys.shape[:-1], -1, 2)

    @property
    def shares(self) -> Tensor:
        return self.reals[..., 2:].float()


def pinned(values: Tensor, device: torch.device) -> Tensor:
    """The same in memory that a CUDA device reads by itself, so that nothing waits for a copy from it.

    torch keeps such memory from other uses until the copy has been made.
    """
    return values.pin_memory() if device.type == "cuda" else values


def sent(values: Tensor, device: torch.device) -> Tensor:
    """The same on a device; on a CUDA device without waiting for it."""
    return pinned(values, device).to(device, non_blocking=True)


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
    """A copy of an array, which may be a read-only memory map. It waits for the device."""
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
            self._graph = self._captured()
        self._graph.replay()
        return self._result.clone()

    def _captured(self) -> torch.cuda.CUDAGraph:
        """The step's graph: recording it computes nothing.

        Raises:
            torch.OutOfMemoryError: The device's memory does not suffice. Ending the capture then fails too, with an
                error that would hide this one.
        """
        graph, lack = torch.cuda.CUDAGraph(), None
        try:
            with torch.cuda.graph(graph):
                try:
                    self._result = self._step()
                except torch.OutOfMemoryError as error:
                    lack = error
                    raise
        except RuntimeError as error:
            raise (error if lack is None else lack) from None
        return graph

    def _on_side_stream(self, side: torch.cuda.Stream) -> Tensor:
        """The step on a stream of its own, as torch asks of the steps before a capture."""
        current = torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            result = self._step()
        current.wait_stream(side)
        return result


def weakly(method: Callable[..., Tensor], *values: Any) -> Callable[[], Tensor]:
    """A call of a method with these values that does not keep its object alive.

    An object that keeps a replay of its own method would be a cycle: a finished learner, and the memory of its graph,
    would stay until Python looks for cycles.
    """
    reference = WeakMethod(method)

    def call() -> Tensor:
        alive = reference()
        if alive is None:
            raise RuntimeError("the learner of this step is gone")
        return alive(*values)

    return call
