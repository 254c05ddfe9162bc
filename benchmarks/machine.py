"""What the figures were measured on, as far as it explains them. No names of machines or people."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_bf16",
    "avx512_fp16",
    "avx512_vnni",
    "amx_tile",
    "amx_bf16",
    "asimd",
    "bf16",
    "sve",
)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system."""
    fields: dict[str, str] = {}
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        fields = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in lines if ":" in line)
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    family = [fields[name] for name in ("cpu family", "model") if name in fields]
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "family_and_model": " ".join(family),
        "cores": cores(),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "is_virtual": "hypervisor" in flags,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def slug(about: dict[str, Any]) -> str:
    """The machine in a file's name: ``amd-epyc-2-cores``."""
    words = re.sub(r"\((r|tm)\)|@.*|\bcpu\b|\bprocessor\b", " ", about["processor"].lower())
    return "-".join([*re.findall(r"[a-z0-9]+", words)[:6], str(about["cores"]), "cores"])
