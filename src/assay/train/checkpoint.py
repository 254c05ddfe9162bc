"""Saves and loads weights and checkpoints: safetensors files, written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from .. import disk
from ..errors import DataError, Problem
from .epochs import EpochRecord
from .task import RUN_LEVELS

_KEPT = "kept."


@dataclass(frozen=True)
class Checkpoint:
    """A run after one of its epochs: enough to resume it as if it had never stopped.

    Everything random is a pure function of the seed and of counters, so no generator's state is kept.

    Args:
        run: The run's fingerprint.
        tensors: Weights and the optimizer's state.
        history: The record of every epoch so far.
        seconds: Spent so far.
        kept: The weights of the best epoch so far, where the run keeps the best.
    """

    run: str
    tensors: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    seconds: float
    kept: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the run's checkpoint by a newer one."""
    tensors = {**checkpoint.tensors, **{_KEPT + name: value for name, value in checkpoint.kept.items()}}
    metadata = {
        "run": checkpoint.run,
        "history": json.dumps([asdict(record) for record in checkpoint.history]),
        "seconds": repr(checkpoint.seconds),
        "digest": _digest(tensors),
    }
    disk.write(path, safetensors.torch.save(_contiguous(tensors), metadata), levels=RUN_LEVELS)


def load_checkpoint(path: Path, run: str) -> Checkpoint | None:
    """The run's checkpoint; ``None`` where there is none, or where it is damaged or another run's."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.get("run") != run or metadata.get("digest") != _digest(tensors):
            return None
        history = tuple(EpochRecord(**record) for record in json.loads(metadata["history"]))
        kept = {name.removeprefix(_KEPT): tensors.pop(name) for name in list(tensors) if name.startswith(_KEPT)}
        return Checkpoint(run, tensors, history, float(metadata["seconds"]), kept)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError):
        return None


def save_weights(path: Path, tensors: dict[str, Tensor], run: str) -> tuple[str, int]:
    """Write a network's weights; return their SHA-256 and size in bytes."""
    content = safetensors.torch.save(_contiguous(tensors), {"run": run})
    return disk.write(path, content, levels=RUN_LEVELS), len(content)


def load_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """The weights in a file whose hash must be the recorded one.

    Raises:
        DataError: The file is missing or is not the one that was written.
    """
    fix = "run the study again, which trains this run anew"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(Problem(f"the weights cannot be read ({error.strerror})", fix, file=str(path))) from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            Problem("the weights are not the ones that were written (SHA-256 differs)", fix, file=str(path))
        )
    return safetensors.torch.load(content)


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
