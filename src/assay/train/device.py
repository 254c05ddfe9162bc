"""What a run is trained on, and with which versions: recorded with every run."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any


@cache
def processor() -> tuple[str, frozenset[str]]:
    """The processor's name and its feature flags (empty where the platform does not tell)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine(), frozenset()
    lines = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    return fields.get("model name", platform.machine()), frozenset(fields.get("flags", "").split())


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    return bool(processor()[1] & {"avx512_bf16", "amx_bf16"})


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(*, threads: int, path: str = "", precision: str = "") -> dict[str, Any]:
    """Versions and machine, and how a run is trained, as plain values."""
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
        "device": "cpu",
        "path": path,
        "precision": precision,
        "threads": threads,
    }
