"""A network as safetensors and JSON: weights and everything that is needed to build it again."""

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
    scaled image) and the shape that it puts out.
    """
    height, width, channels = network.shape
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
            "scaling": "(stored value - offset) * factor, by channel",
        },
        "output": "probabilities, batch x classes",
        "classes": list(network.classes),
        "layers": list(network.lines),
        "steps": [
            {"name": row.name, "word": row.word, "inputs": list(row.inputs), "output": list(row.output_shape)}
            for row in network.summary.layers
        ],
        "parameters": network.summary.parameters,
        "weights": {name: list(value.shape) for name, value in network.weights.items()},
    }
