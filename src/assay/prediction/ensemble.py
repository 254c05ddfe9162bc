"""Finished networks that answer together: one image at once, or many at full speed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..seeds import Streams
from ..system import num_cores
from ..train.fused.plan import why_not_fused
from ..train.predictor import Predictor

Images = NDArray[np.uint8] | NDArray[np.float32]
Floats = NDArray[np.float32]

FEW = 10_000  # kernels that are new to a machine take longer to compile than torch's layers take for so many images
_LITTLE = 10_000_000  # FLOPs; kernels compute sixteen images at once, which one image of a larger network waits for
_BATCH = 128  # activations of a batch should stay in the cache
_SPAN = 8 * _BATCH
_LANES = 16


class Ensemble:
    """Networks of one shape whose mean probability is the answer. One alone is an ensemble of one; runs that are
    ensembles bring all of their networks.

    Few images go through torch's layers, many (or all, after ``load_kernels``) through the kernels that train networks,
    where they take them, in float32 and on all cores: both agree to 1e-5. Any number of threads may ask at once.

    Args:
        predictors: The members, in evaluation mode, with their weights.
        classes: Class names by label.
        shape: Height, width and channels of an image.
        temperature: Mean probabilities p become p**(1 / temperature), scaled to sum to 1 (see ``calibrate``).

    Raises:
        ValueError: There is no member.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        classes: Sequence[str],
        shape: tuple[int, int, int],
        *,
        temperature: float = 1.0,
    ) -> None:
        if not predictors:
            raise ValueError("an ensemble has at least one member")
        self.predictors = tuple(member for predictor in predictors for member in predictor.members)
        self.classes = tuple(classes)
        self.shape = shape
        self.temperature = temperature
        # Members that look at several views of an image are asked on torch's layers.
        self.is_fused = all(
            member.views is None
            and member.network.summary.members == 1
            and why_not_fused(member.network.summary) is None
            for member in self.predictors
        )
        self._loading = threading.Lock()
        self._kernels: Kernels | None = None

    def probabilities(self, images: Images, *, are_many: bool | None = None) -> Floats:
        """The classes' probabilities, float32 [n, classes].

        Args:
            images: Stored values: uint8 or float32 [n, height, width, channels], as the networks were trained on.
            are_many: Whether they are part of many, worth the kernels; more than ``FEW`` are if ``None``.

        Raises:
            ValueError: The images have another shape or type.
        """
        if images.ndim != 4 or images.shape[1:] != self.shape or images.dtype not in (np.uint8, np.float32):
            given = f"images are {images.dtype} {images.shape}"
            raise ValueError(f"{given}, expected uint8 or float32 {('n', *self.shape)}")
        if not len(images):
            return np.empty((0, len(self.classes)), np.float32)
        if self._takes_kernels(len(images), are_many):
            mean = self.load_kernels().mean(images)
        else:
            mean = self.predictors[0].probabilities(images)
            for member in self.predictors[1:]:
                mean += member.probabilities(images)
            mean /= np.float32(len(self.predictors))
        return mean if self.temperature == 1 else sharpened(mean, self.temperature)

    def load_kernels(self) -> Kernels:
        """Make the kernels ready, so that single images are answered by them too, in a fraction of a millisecond for a
        small network. Where this machine has not compiled them before, that takes some seconds; other threads are
        answered in the meantime.

        Raises:
            ValueError: The kernels do not take these networks: ``is_fused`` is false.
        """
        if not self.is_fused:
            raise ValueError("our kernels do not take this network")
        with self._loading:
            if self._kernels is None:
                kernels = Kernels(self.predictors, len(self.classes))
                kernels.mean(np.zeros((1, *self.shape), np.uint8))  # by one thread, where two would both compile
                self._kernels = kernels
        return self._kernels

    def _takes_kernels(self, count: int, are_many: bool | None) -> bool:
        if not self.is_fused:
            return False
        if count > FEW if are_many is None else are_many:
            return True
        flops = self.predictors[0].network.summary.flops
        return self._kernels is not None and (count >= _LANES or flops < _LITTLE)


def sharpened(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities to the power of 1 / temperature, scaled to sum to 1 [n, classes]: the same classes in the same
    order, less sure above 1 and surer below."""
    logs: Floats = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return softmax(logs * np.float32(1 / temperature))


def softmax(logits: Floats) -> Floats:
    """Logits [n, classes] as probabilities."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    scaled: Floats = powers / powers.sum(1, keepdims=True)
    return scaled


class Kernels:
    """The members on the fused kernels, once for every core: buffers serve one thread at a time."""

    def __init__(self, predictors: Sequence[Predictor], num_classes: int) -> None:
        from ..train.fused.network import FusedNetwork

        self._num_classes = num_classes
        self._scales = [(one.scaling.offset.numpy(), one.scaling.factor.numpy()) for one in predictors]
        cores = num_cores()
        self._free: queue.SimpleQueue[list[FusedNetwork]] = queue.SimpleQueue()
        for _ in range(cores):
            networks = []
            for one in predictors:
                network = FusedNetwork(
                    one.network.summary, precision="float32", max_batch=_BATCH, streams=Streams(0), threads=1
                )
                network.load({name: value.detach() for name, value in one.network.state_dict().items()})
                network.pack()
                networks.append(network)
            self._free.put(networks)
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="assay-predict")

    def mean(self, images: Images) -> Floats:
        """Mean probabilities [n, classes]."""
        pixels: Any = np.ascontiguousarray(images)
        starts = range(0, len(images), _SPAN)
        probabilities = np.empty((len(images), self._num_classes), np.float32)

        def answer(start: int) -> None:
            networks = self._free.get()
            try:
                for first in range(start, min(start + _SPAN, len(images)), _BATCH):
                    chosen = np.arange(first, min(first + _BATCH, len(images)))
                    total = np.zeros((len(chosen), self._num_classes), np.float32)
                    for network, scale in zip(networks, self._scales, strict=True):
                        network.put_images(pixels, chosen, *scale)
                        total += softmax(network.logits(len(chosen)))
                    probabilities[chosen] = total / np.float32(len(networks))
            finally:
                self._free.put(networks)

        for _ in map(answer, starts) if len(starts) == 1 else self._threads.map(answer, starts):
            pass
        return probabilities
