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
_LEFT_OUT = "left out"


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
        joules: Spent so far by the run, and by all packages in the same time; ``None`` where that is not known.
        left_out: Training images that ``exclude`` leaves out, by ascending index; ``None`` where nothing was asked for.
    """

    run: str
    tensors: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    seconds: float
    kept: dict[str, Tensor] = field(default_factory=dict)
    joules: tuple[float, float] | None = None
    left_out: Tensor | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the run's checkpoint by a newer one."""
    tensors = {**checkpoint.tensors, **{_KEPT + name: value for name, value in checkpoint.kept.items()}}
    if checkpoint.left_out is not None:
        tensors[_LEFT_OUT] = checkpoint.left_out
    metadata = {
        "run": checkpoint.run,
        "history": json.dumps([asdict(record) for record in checkpoint.history]),
        "seconds": repr(checkpoint.seconds),
        "digest": _digest(tensors),
    }
    if checkpoint.joules is not None:
        metadata["joules"] = json.dumps(checkpoint.joules)
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
        own, whole = json.loads(metadata["joules"]) if "joules" in metadata else (None, None)
        joules = None if own is None or whole is None else (float(own), float(whole))
        left_out = tensors.pop(_LEFT_OUT, None)
        return Checkpoint(run, tensors, history, float(metadata["seconds"]), kept, joules, left_out)
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
