"""Describes the machine that a run is trained on, and chooses its device."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import Problem, SpecError
from ..spec import Device, Placement
from ..system import num_cores


@cache
def processor() -> tuple[str, frozenset[str]]:
    """The processor's name and its feature flags, as Linux names them; elsewhere only those that precision goes by."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        import llvmlite.binding as llvm

        known = {"avx512bf16": "avx512_bf16", "amx-bf16": "amx_bf16"}
        features = llvm.get_host_cpu_features()
        flags = frozenset(flag for feature, flag in known.items() if features.get(feature))
        return platform.processor() or platform.machine(), flags
    lines = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    return fields.get("model name", platform.machine()), frozenset(fields.get("flags", "").split())


def device_of(wanted: Placement) -> Device:
    """The device that runs are trained on: the one asked for; for ``auto`` the CUDA device where there is one.

    Raises:
        SpecError: A CUDA device is asked for and there is none.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise SpecError(Problem(f"got {wanted!r}", 'give "auto", "cpu" or "cuda"', "device"))
    reason = why_no_cuda() if wanted != "cpu" else None
    if wanted == "cuda" and reason:
        fix = 'train on the processor with "cpu", or give "auto", which takes a CUDA device where there is one'
        raise SpecError(Problem(f'"cuda" is not available: {reason}', fix, "device"))
    return "cpu" if wanted == "cpu" or reason else "cuda"


def why_no_cuda() -> str | None:
    """Why runs cannot be trained on a CUDA device; ``None`` if they can."""
    import torch

    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA"
    return None if torch.cuda.is_available() else "torch finds no CUDA device"


def has_bfloat16(device: Device = "cpu") -> bool:
    """Whether the processor, or the CUDA device, multiplies bfloat16 in hardware."""
    if device == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(processor()[1] & {"avx512_bf16", "amx_bf16"})


@cache
def kernels_round() -> bool:
    """Whether kernels multiply bfloat16: this processor does, and so does the one that kernels are compiled for, which
    ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` may set to an older one."""
    if not has_bfloat16():
        return False
    from .fused.target import target

    return target().has("avx512bf16")


def environment(*, threads: int, path: str = "", precision: str = "", device: Device = "cpu") -> dict[str, Any]:
    """What is recorded with every run: versions, machine, path, precision and threads, as plain values."""
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("assay", "torch", "numpy")},
        },
        "machine": {
            "system": platform.platform(terse=True),
            "processor": processor()[0],
            "cores": num_cores(),
            "bfloat16": has_bfloat16(),
        },
        "device": device,
        **({"cuda": _cuda()} if device == "cuda" else {}),
        "path": path,
        "precision": precision,
        **({"products": _products()} if path == "fused" and precision == "bfloat16" else {}),
        "threads": threads,
    }


def _products() -> str:
    """What kernels multiply bfloat16 in: results have other last bits in the one than in the other."""
    from .fused import tiles

    return "tiles" if tiles.how() else "vectors"


def _cuda() -> dict[str, str]:
    import torch

    return {"name": torch.cuda.get_device_name(), "version": str(torch.version.cuda)}
