"""Caches a frozen base's outputs: computed once for a set of images, a base and a preprocessing, kept on disk.

Values are float32, the same as an uncached pass computes, in one ``.npy`` file that is opened as a memory map. Its name
is a hash of everything that they depend on: the images' bytes, the base's weights and layers, the preprocessing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..data import TestData, TrainingData, features_folder
from ..disk import disk_errors, locked, replacing
from ..nets.build import Network
from ..nets.effects import Image
from ..seeds import Streams
from .augment import augment
from .networks import network_of
from .prepared import Prepared
from .scaling import Scaling
from .task import Task

_FORMAT = 1
_BATCH = 512
_BATCH_BYTES = 2**28  # of the largest activation
_CHUNK = 4096  # images augmented at a time

Stored = NDArray[np.uint8] | NDArray[np.float32]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Features(TrainingData):
    """Training data with a frozen base's outputs in place of images: float32 [n, height, width, channels], and labels.

    Args:
        stored: Shape of the images that they were made from.
        copies: Of augmented images, [copies x n, ...], copy by copy; ``None`` without augmentation.
    """

    stored: Image = field(kw_only=True)
    copies: NDArray[np.float32] | None = field(default=None, kw_only=True)


def is_cached(task: Task) -> bool:
    """Whether the task's base is frozen, so that its outputs are cached."""
    base = task.arm.base
    return base is not None and base.is_frozen and (task.arm.training.augmentation is None or base.copies > 0)


def features_of(task: Task, data: TrainingData, *, on_progress: OnProgress | None = None) -> TrainingData:
    """The training data as the task's head reads them: its frozen base's outputs, or the images themselves.

    Args:
        task: The run.
        data: Its images.
        on_progress: Called with the number of images computed so far, and of all.

    Raises:
        DiskFull: There is no space left for them.
        DataError: The base's weights are gone, or the cache's folder cannot be used.
    """
    if not is_cached(task) or isinstance(data, Features):
        return data
    network, prepared = _network_of(task, data.images)
    images = base_outputs(data.images, network, prepared, on_progress=on_progress)
    base = task.arm.base
    if base is None or not base.copies:
        return _of(images, data, None)
    copies = base_outputs(data.images, network, prepared, on_progress=on_progress, copies=_Copies(task, base.copies))
    return _of(images, data, copies)


def test_features_of(task: Task, data: TestData) -> TestData:
    """The same for the images of a study that validates on them as published."""
    if not is_cached(task):
        return data
    return TestData(base_outputs(data.images, *_network_of(task, data.images)), data.labels)  # type: ignore[arg-type]


def _of(images: NDArray[np.float32], data: TrainingData, copies: NDArray[np.float32] | None) -> Features:
    shape = _shape(data.images)
    return Features(images, data.labels, data.groups, data.validation, stored=shape, copies=copies)  # type: ignore[arg-type]


def _shape(images: Stored) -> Image:
    height, width, channels = images.shape[1:]
    return height, width, channels


def _network_of(task: Task, images: Stored) -> tuple[Network, Prepared]:
    one = task.members[0]  # all members of an ensemble stand on one base
    network = network_of(one.arm, _shape(images), one.num_classes, one.streams, one.base)
    base = network.summary.base
    if base is None:
        raise ValueError(f"{task.arm.name} has no base")
    return network, Prepared(base.preparation)


class _Copies:
    """Augmented copies of all images, the same for every seed."""

    def __init__(self, task: Task, number: int) -> None:
        self.number = number
        self.settings = task.arm.training.augmentation
        self.description = repr(self.settings)

    def chunks(self, images: Stored) -> Iterator[Stored]:
        if self.settings is None:
            raise ValueError("there is no augmentation")
        streams = Streams(0, frozenset())
        for copy in range(self.number):
            for start in range(0, len(images), _CHUNK):
                indices = np.arange(start, min(start + _CHUNK, len(images)))
                key = streams.key("augment", copy, start)
                yield augment(np.take(images, indices, axis=0), self.settings, key, indices)


def base_outputs(
    images: Stored,
    network: Network,
    scaling: Scaling,
    *,
    on_progress: OnProgress | None = None,
    copies: _Copies | None = None,
) -> NDArray[np.float32]:
    """The base's outputs for these images, float32 [n, height, width, channels], read from the cache if they are there.

    Args:
        images: As stored, [n, height, width, channels].
        network: Whole, with the base's weights.
        scaling: What the base sees of them.
        on_progress: Called with the number of images computed so far, and of all.
        copies: Which augmented copies to take in their place.

    Raises:
        DiskFull: There is no space left.
    """
    path = features_folder() / f"{_key(images, network, scaling, copies)}.npy"
    with disk_errors(path, "written"), locked(path.with_suffix(".lock")):
        if not path.exists():
            _write(path, images, network, scaling, on_progress, copies)
    with disk_errors(path, "read"):
        outputs: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return outputs


def _key(images: Stored, network: Network, scaling: Scaling, copies: _Copies | None) -> str:
    rows = network.fixed_rows()
    parts = [_FORMAT, images.dtype.str, images.shape, getattr(scaling, "preparation", None), [row.word for row in rows]]
    parts += [[row.inputs for row in rows], None if copies is None else (copies.number, copies.description)]
    digest = hashlib.sha256(repr(parts).encode())
    for name, value in network.state_dict().items():
        if name.split(".")[0] in {row.name for row in rows}:
            digest.update(value.detach().contiguous().numpy())
    digest.update(np.ascontiguousarray(images).data.cast("B"))
    return digest.hexdigest()


@torch.inference_mode()
def _write(
    path: Path,
    images: Stored,
    network: Network,
    scaling: Scaling,
    on_progress: OnProgress | None,
    copies: _Copies | None,
) -> None:
    network.eval()
    largest = max(row.activation_bytes for row in network.fixed_rows())
    size = max(1, min(_BATCH, _BATCH_BYTES // max(largest, 1)))
    total, num_computed = len(images) * (copies.number if copies else 1), 0
    last = network.fixed_rows()[-1].output_shape
    shape = (total, *(last if len(last) == 3 else (1, 1, *last)))
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    chunks = copies.chunks(images) if copies else iter([images])
    with replacing(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            for start in range(0, len(chunk), size):
                part = np.arange(start, min(start + size, len(chunk)))
                values = network.features(scaling.apply(chunk, part))
                last_axis = values.permute(0, 2, 3, 1) if values.dim() == 4 else values
                file.write(last_axis.contiguous().numpy().data.cast("B"))
                num_computed += len(part)
                if on_progress is not None:
                    on_progress(num_computed, total)
