"""Exports a network as safetensors and JSON: its weights, and everything needed to rebuild it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import disk
from .portable import Portable

FORMAT = 1


def write_safetensors(network: Portable, path: Path) -> None:
    """Write ``path`` and a ``.json`` file of the same name, which says what the weights belong to.

    Raises:
        DiskFull: There is no space left.
    """
    from safetensors.numpy import save

    disk.write(path, save(network.weights, {"format": str(FORMAT), "classes": json.dumps(network.classes)}))
    disk.write(path.with_suffix(".json"), (json.dumps(spec_of(network), indent=2) + "\n").encode())


def spec_of(network: Portable) -> dict[str, Any]:
    """The network without its weights, as JSON values.

    ``layers`` are those of a study file; ``steps`` are the same one by one, each with what it reads (``""`` is the
    scaled image) and the shape that it puts out. On a base, ``layers`` follow those of ``base.blocks``.
    Of an ensemble, layers and steps are those of each of its ``members``, whose mean probability is the output.
    """
    height, width, channels = network.shape
    given = network.summary.base
    base = {} if given is None else {"base": base_of(network)}
    before = {} if given is None else {"preparation": preparation_of(network)}
    what = "stored value" if given is None else "prepared value"
    return {
        "format": FORMAT,
        "input": {
            "dtype": network.dtype,
            "layout": "batch, height, width, channels",
            "height": height,
            "width": width,
            "channels": channels,
            "offset": network.offset.tolist(),
            "factor": network.factor.tolist(),
            "scaling": f"({what} - offset) * factor, by channel",
            **before,
        },
        "output": "probabilities, batch x classes",
        "classes": list(network.classes),
        **base,
        "layers": list(network.lines),
        "steps": [
            {"name": row.name, "word": row.word, "inputs": list(row.inputs), "output": list(row.output_shape)}
            for row in network.summary.layers
        ],
        **({"members": network.summary.members} if network.summary.members > 1 else {}),
        "parameters": network.summary.parameters,
        "weights": {name: list(value.shape) for name, value in network.weights.items()},
    }


def base_of(network: Portable) -> dict[str, Any]:
    """The base as JSON values: its layers by block, and which blocks were never trained.

    Raises:
        ValueError: There is none.
    """
    base = network.summary.base
    if base is None:
        raise ValueError("the network stands on no base")
    blocks = {name: list(lines) for name, lines in base.lines}
    return {"title": base.title, "weights": base.weights, "blocks": blocks, "frozen": list(base.frozen)}


def preparation_of(network: Portable) -> dict[str, Any]:
    """What becomes of a stored image before it is scaled for a base, as JSON values.

    ``size`` is what it is resized to, first (bilinear weights of half-pixel centres; where it shrinks, over all pixels
    that a new one stands for), and ``channels`` which of its channels each of the base's is, in order.
    """
    size = network.shape[:2] if network.resizing is None else tuple(len(matrix) for matrix in network.resizing)
    shrinks = any(new < old for new, old in zip(size, network.shape, strict=False))
    order = range(network.shape[2]) if network.channels is None else network.channels
    interpolation = "bilinear, half-pixel centres, antialiased" if shrinks else "bilinear, half-pixel centres"
    return {"size": list(size), "interpolation": interpolation, "channels": list(order)}
