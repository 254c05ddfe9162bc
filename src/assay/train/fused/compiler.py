"""Kernels from source: generated once, compiled once, kept on disk.

A kernel is Python source specialised on what must be known when it is compiled (how many accumulators there are, what
is rounded to bfloat16). It is written to a file of the platform's cache, because Numba keeps machine code only for
functions that live in files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import platformdirs

from ... import disk
from . import vectors

_HEAD = '''"""Made by assay.train.fused; safe to delete."""
import numpy as np
from numba import njit
from assay.train.fused.vectors import (
    F, I, M, add, add_at, at_least, choose, dot, either, equal, fma, greater, high, highs, larger, load_f, load_i, low, lows,
    mixed, mul, nowhere, pair, put_at, ramp, splat, splat_i, spread_f, spread_i, store_f, store_i, total, totals, without,
)

ZERO = np.float32(0)


@njit(cache=True, nogil=True, error_model="numpy")
'''


def folder() -> Path:
    """Where kernels are kept: ``ASSAY_KERNELS``, or the platform's cache; a folder for each state of this code."""
    root = os.environ.get("ASSAY_KERNELS") or str(Path(platformdirs.user_cache_dir("assay")) / "kernels")
    return Path(root) / _code_version()


@cache
def _code_version() -> str:
    parts = [_HEAD, Path(vectors.__file__).read_text(), version("numba"), version("llvmlite")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def compiled(name: str, source: str) -> Callable[..., None]:
    """The function ``name`` that the source defines, as a compiled kernel.

    Raises:
        DiskFull: Its file cannot be written.
    """
    text = _HEAD + source
    module_name = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path = folder() / f"{module_name}.py"
    if not path.exists():  # a file rewritten would be compiled again
        disk.write(path, text.encode())
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # compiled code that is read back looks its module up by name
    spec.loader.exec_module(module)
    kernel: Callable[..., None] = getattr(module, name)
    return kernel
