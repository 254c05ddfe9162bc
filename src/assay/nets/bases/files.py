"""Weights files of pretrained networks, read as arrays only and checked against the architecture.

Keras's ``.h5`` (the layout of the published files: a group for each layer, arrays in ``weight_names``) through h5py,
torchvision's ``.pth`` with ``weights_only=True``, ``.npz`` without pickles, safetensors. No code in a file is run.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import spec
from ...disk import disk_errors, regular_file
from ...errors import DataError, Problem
from ...extras import needed
from ..layers import BatchNorm, Conv, Dense, Depthwise
from ..shapes import LayerSummary
from .blueprint import definition_of, layout_of
from .definition import Layout

Array = NDArray[np.float32]
MAX_BYTES = 2**32
_PARTS = {
    "kernel": "kernel", "w": "kernel", "weight": "kernel", "depthwise_kernel": "kernel", "bias": "bias", "b": "bias",
    "gamma": "gamma", "beta": "beta", "moving_mean": "moving_mean", "running_mean": "moving_mean",
    "moving_variance": "moving_variance", "running_var": "moving_variance", "running_std": "moving_variance",
}  # fmt: skip
_LAST = re.compile(r"(?:^|[/_.])(" + "|".join(sorted(_PARTS, key=len, reverse=True)) + r")(?:_\d+)?(?::\d+)?$", re.I)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content.

    Raises:
        DataError: It cannot be read.
    """
    with disk_errors(path, "read"), regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path, base: spec.Base, rows: Sequence[LayerSummary]) -> dict[str, Array]:
    """The weights of a base's layers under our names and in our layout, such as ``base_conv1.kernel``.

    Args:
        path: The file.
        base: The base as a study names it.
        rows: Its layers as they are kept: what the file holds behind them is left alone.

    Raises:
        DataError: The file cannot be read, is of another kind or layout, or its arrays do not fit.
    """
    layout = layout_of(base)
    with disk_errors(path, "read"):
        size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(_bad(path, f"it has {size:,} bytes, and weights have at most {MAX_BYTES:,}"))
    layers = _READERS[path.suffix.lower()](path)
    keys = definition_of(base).keys[layout]()
    weighted = [row for row in rows if row.parameters]
    missing = [key for key in keys[: len(weighted)] if key not in layers]
    if missing:
        named = ", ".join(list(layers)[:3]) or "none"
        what = f"it lacks layer {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        raise DataError(_bad(path, f"{what} of {definition_of(base).title} (its layers begin with {named})"))
    arrays: dict[str, Array] = {}
    for row, key in zip(weighted, keys, strict=False):
        arrays |= _layer(path, key, layers[key], row, layout)
    return arrays


def _layer(
    path: Path, key: str, parts: Mapping[str, NDArray[Any]], row: LayerSummary, layout: Layout
) -> dict[str, Array]:
    """One layer's arrays, turned into our layout."""
    expected = shapes_of(row)
    if sorted(parts) != sorted(expected):
        raise DataError(_bad(path, f"layer {key} has {_listed(parts)} where {_listed(expected)} belong"))
    tensors = {}
    for name, shape in expected.items():
        array = parts[name]
        theirs = _theirs(shape, row, layout) if name == "kernel" else shape
        if array.shape != theirs:
            what = f"{name} of layer {key} has the shape {_shape(array.shape)} where {_shape(theirs)} belongs"
            raise DataError(_bad(path, what))
        ours = _ours(array, row) if name == "kernel" and layout == "keras" else array
        values = np.ascontiguousarray(ours, np.float32)
        if not np.isfinite(values).all():
            raise DataError(_bad(path, f"{name} of layer {key} holds values that are no finite numbers"))
        tensors[f"{row.name}.{name}"] = values
    return tensors


def shapes_of(row: LayerSummary) -> dict[str, tuple[int, ...]]:
    """The parameters and moving statistics of a layer, as ``nets.build`` shapes them."""
    layer, inputs = row.layer, row.input_shape[-1]
    if isinstance(layer, BatchNorm):
        return dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (inputs,))
    outputs = row.output_shape[-1]
    if isinstance(layer, Conv):
        kernel: tuple[int, ...] = (outputs, inputs // layer.groups, *layer.kernel)
    elif isinstance(layer, Depthwise):
        kernel = (outputs, 1, *layer.kernel)
    elif isinstance(layer, Dense):
        kernel = (outputs, inputs)
    else:
        raise TypeError(row.name)
    return {"kernel": kernel, **({"bias": (outputs,)} if layer.bias else {})}


def _theirs(shape: tuple[int, ...], row: LayerSummary, layout: Layout) -> tuple[int, ...]:
    """The file's shape of a kernel of ours."""
    if layout == "torch":
        return shape
    if isinstance(row.layer, Depthwise):
        return (*shape[2:], row.input_shape[-1], row.layer.multiplier)
    return (*shape[2:], shape[1], shape[0])


def _ours(array: NDArray[Any], row: LayerSummary) -> NDArray[Any]:
    """A kernel of Keras's (rows, columns, inputs, outputs) in torch's order."""
    if isinstance(row.layer, Depthwise):
        return array.transpose(2, 3, 0, 1).reshape(-1, 1, *array.shape[:2])
    return array.transpose(3, 2, 0, 1)


def _read_keras(path: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """Arrays by layer and part."""
    h5py = needed("h5py", "HDF5 files")

    if not h5py.is_hdf5(path):
        raise DataError(_bad(path, "it is no HDF5 file"))
    layers: dict[str, dict[str, NDArray[Any]]] = {}
    try:
        with h5py.File(path, "r") as file:
            is_nested = file.get("model_weights", getlink=True) is not None
            root = _inside(path, file, "model_weights") if is_nested else file
            if "layer_names" not in root.attrs:
                what = "it has no layer_names"
                if "layers" in file or "_layer_checkpoint_dependencies" in file:
                    what += ": Keras 3 wrote it with save_weights, in another layout"
                raise DataError(_bad(path, what))
            for name in map(_text, root.attrs["layer_names"]):
                group = _inside(path, root, name)
                names = list(map(_text, group.attrs["weight_names"]))
                if names:
                    layers[name] = _parts(path, name, {inner: _dataset(path, group, inner) for inner in names})
    except (KeyError, OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise DataError(_bad(path, f"its HDF5 content is damaged ({_first_line(error)})")) from None
    return layers


def _inside(path: Path, group: Any, name: str) -> Any:
    """A member that lies in this very file: no part of the way to it is a link to another place.

    Raises:
        DataError: One is.
        KeyError: There is no such member.
    """
    h5py = needed("h5py", "HDF5 files")

    for part in name.split("/"):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            raise KeyError(f"{name} is not there")
        if not isinstance(link, h5py.HardLink):
            raise DataError(_bad(path, f"{name} is a link to another place, which is never followed"))
        group = group[part]
    return group


def _dataset(path: Path, group: Any, name: str) -> NDArray[Any]:
    h5py = needed("h5py", "HDF5 files")

    dataset = _inside(path, group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise DataError(_bad(path, f"{name} is no array of its own"))
    if dataset.dtype.kind != "f" or dataset.ndim > 4 or math.prod(dataset.shape) * 4 > MAX_BYTES:
        raise DataError(_bad(path, f"{name} is {dataset.dtype} {_shape(dataset.shape)}, no array of weights"))
    array: NDArray[Any] = dataset[()]
    return array


def _parts(path: Path, layer: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A layer's arrays by what they are: by the ends of their names, else by their dimensions."""
    parts: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        known = _LAST.search(name)
        part = _PARTS[known[1].lower()] if known else "kernel" if array.ndim > 1 else "bias"
        if part in parts:
            raise DataError(_bad(path, f"layer {layer} has two arrays that could be its {part}"))
        parts[part] = array
    return parts


def _read_torch(path: Path) -> dict[str, dict[str, NDArray[Any]]]:
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle fails in any way it likes
        what = "it is no file of plain arrays, and nothing in it was run"
        raise DataError(_bad(path, f"{what} ({_first_line(error)})")) from None
    return _by_layer(path, state)


def _read_safetensors(path: Path) -> dict[str, dict[str, NDArray[Any]]]:
    import safetensors
    import safetensors.torch

    try:
        return _by_layer(path, safetensors.torch.load_file(path))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise DataError(_bad(path, f"it is no safetensors file ({_first_line(error)})")) from None


def _by_layer(path: Path, state: Any) -> dict[str, dict[str, NDArray[Any]]]:
    import torch

    is_plain = isinstance(state, Mapping) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    )
    if not is_plain:
        raise DataError(_bad(path, "it holds no table of names and arrays, as torchvision's files do"))
    layers: dict[str, dict[str, NDArray[Any]]] = {}
    for name, value in state.items():
        layer, _, last = name.rpartition(".")
        if last == "num_batches_tracked":
            continue
        if not value.is_floating_point():
            raise DataError(_bad(path, f"{name} is {value.dtype}, no array of weights"))
        layers.setdefault(layer, {})[last] = value.detach().to(torch.float32).numpy()
    for parts in layers.values():  # normalization has a weight, too
        names = {"weight": "kernel"}
        if "running_mean" in parts:
            names = {
                "weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"
            }  # fmt: skip
        for theirs in names.keys() & parts.keys():
            parts[names[theirs]] = parts.pop(theirs)
    return layers


def _read_npz(path: Path) -> dict[str, dict[str, NDArray[Any]]]:
    import zipfile
    import zlib

    layers: dict[str, dict[str, NDArray[Any]]] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            if not hasattr(file, "files"):
                raise DataError(_bad(path, "it is one array, no .npz of several"))
            for name in file.files:
                layer, _, part = name.rpartition("_")
                if part not in ("kernel", "bias", "gamma", "beta"):
                    raise DataError(_bad(path, f'array "{name}" is not called such as block1_conv1_kernel'))
                array = file[name]
                if array.dtype.kind != "f":
                    raise DataError(_bad(path, f"{name} is {array.dtype}, no array of weights"))
                layers.setdefault(layer, {})[part] = array
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(_bad(path, f"it is no .npz of plain arrays ({_first_line(error)})")) from None
    return layers


_READERS = {
    ".h5": _read_keras, ".hdf5": _read_keras, ".npz": _read_npz,
    ".pth": _read_torch, ".pt": _read_torch, ".safetensors": _read_safetensors,
}  # fmt: skip


def _bad(path: Path, what: str) -> Problem:
    fix = "give the published file, or weights of this base"
    return Problem(f"the weights cannot be used: {what}", fix, file=str(path))


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
    return text if len(text) <= 100 else text[:97] + "..."
