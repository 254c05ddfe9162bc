"""Kernels from source: generated once, compiled once, kept on disk.

A kernel is Python source specialised on what must be known when it is compiled (how many accumulators there are, what
is rounded to bfloat16). It is written to a file of the platform's cache, because Numba keeps machine code only for
functions that live in files. All kernels look alike from outside: which share of the work to do, of how many, and the
address of a list of 64-bit words that holds the other arguments. A list of calls (``tape``) needs no Python then.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import importlib.util
import linecache
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import platformdirs
from numba.extending import register_jitable
from numpy.typing import NDArray

from ... import disk

_HEAD = '''"""Made by assay.train.fused; safe to delete."""
import numpy as np
from numba import carray, cfunc, types
from assay.train.fused.pointers import doubles, floats, longs, octets, real, words
from assay.train.fused.vectors import (
    F, I, M, add, add_at, at_least, choose, choose_i, dot, either, equal, fma, greater, high, highs, larger, load_f, load_i, low, lows,
    mixed, mul, nowhere, pair, pick, pick_halves, put_at, ramp, splat, splat_i, spread_f, spread_i, store_f, store_i, sub, total, totals, undefined, without,
)
{imports}
ZERO = np.float32(0)


@cfunc(types.void(types.int64, types.int64, types.int64), cache={keeps}, nogil=True, error_model="numpy")
def {name}(part, parts, address):
    arguments = longs(address)
'''
_POINTERS = {"float": "floats", "double": "doubles", "long": "longs", "word": "words", "byte": "octets"}
_SOURCES = [
    Path(__file__).with_name(name) for name in ("vectors.py", "curves.py", "pointers.py", "edges.py", "winograd.py")
]
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True)
class Parameter:
    """One argument of a kernel: a number, a pointer, or an array of so many dimensions."""

    name: str
    kind: str  # "int", "real", or what an array holds: "float" (any 32 bits), "double", "long", "word", "byte"
    dimensions: int = 0

    @property
    def size(self) -> int:
        """Words that it takes."""
        return 1 + self.dimensions

    def unpacked(self, at: int) -> str:
        """Source that reads it from the words."""
        if self.kind == "int":
            return f"arguments[{at}]"
        if self.kind == "real":
            return f"real(arguments[{at}])"
        pointer = f"{_POINTERS[self.kind]}(arguments[{at}])"
        if not self.dimensions:
            return pointer
        shape = "".join(f"arguments[{at + 1 + axis}], " for axis in range(self.dimensions))
        return f"carray({pointer}, ({shape}))"

    def packed(self, value: Any) -> list[int]:
        """The words that stand for a value."""
        if self.kind == "int":
            return [int(value)]
        if self.kind == "real":
            return [int(np.float64(value).view(np.int64))]
        return [value.ctypes.data, *value.shape[: self.dimensions]]


_PARAMETER = re.compile(r"(\w+)(?:\[(\w*)(?: (\d))?\]|:(real))?")


def parameters_of(text: str) -> tuple[Parameter, ...]:
    """Parameters as kernels write them: ``x[] sums[double] images[byte 4] count rate:real``."""
    found = []
    for word in re.findall(r"\w+(?:\[[^]]*\]|:real)?", text):
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise ValueError(word)
        name, kind, dimensions, number = match.groups()
        array = "int" if kind is None else kind or "float"
        found.append(Parameter(name, number or array, int(dimensions or 0)))
    return tuple(found)


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel. Called from Python it does a share of its work at once."""

    name: str
    parameters: tuple[Parameter, ...]
    address: int
    cache_hits: int
    _call: Callable[[int, int, int], None] = field(repr=False)
    _module: ModuleType = field(repr=False)  # keeps the machine code

    def packed(self, *arguments: Any) -> NDArray[np.int64]:
        """The arguments as words; arrays are given by their addresses and must live on."""
        if len(arguments) != len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments, got {len(arguments)}")
        pairs = zip(self.parameters, arguments, strict=True)
        return np.array([word for parameter, value in pairs for word in parameter.packed(value)], np.int64)

    def __call__(self, part: int, parts: int, *arguments: Any) -> None:
        words = self.packed(*arguments)
        self._call(part, parts, words.ctypes.data)


def folder() -> Path:
    """Where kernels are kept: ``ASSAY_KERNELS``, or the platform's cache; a folder for each state of this code."""
    root = os.environ.get("ASSAY_KERNELS") or str(Path(platformdirs.user_cache_dir("assay")) / "kernels")
    return Path(root) / _code_version()


@cache
def _code_version() -> str:
    parts = [_HEAD, *(path.read_text() for path in _SOURCES), version("numba"), version("llvmlite")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@cache
def compiled(name: str, parameters: str, body: str, imports: str = "") -> Kernel:
    """A kernel from its parameters and the source of its body, which may use ``part`` and ``parts`` too.

    Raises:
        DiskFull: Its file cannot be written.
    """
    found = parameters_of(parameters)
    prologue, at = "", 0
    for parameter in found:
        prologue += f"    {parameter.name} = {parameter.unpacked(at)}\n"
        at += parameter.size

    def text(keeps: bool) -> str:
        return _HEAD.format(name=name, imports=imports, keeps=keeps) + prologue + body

    module_name = f"{name}_{hashlib.sha256(text(True).encode()).hexdigest()[:16]}"
    path = folder() / f"{module_name}.py"
    try:
        if not path.exists():  # a file rewritten would be compiled again
            disk.write(path, text(True).encode())
        module = _imported(module_name, path)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        module = _in_memory(module_name, text(False))
    made = getattr(module, name)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(made.address)
    return Kernel(name, found, made.address, made.cache_hits, function, module)


def _imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # compiled code that is read back looks its module up by name
    spec.loader.exec_module(module)
    return module


def _in_memory(name: str, text: str) -> ModuleType:
    """The kernel where no file may be written: compiled again by every process."""
    module = ModuleType(name)
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    sys.modules[name] = module
    exec(compile(text, name, "exec"), module.__dict__)
    return module


def kernel(parameters: str, *, is_shared: bool = True) -> Callable[[Callable[..., None]], Callable[[], Kernel]]:
    """Make a kernel of a function of this package; what it decorates becomes a call that returns the kernel.

    Args:
        parameters: As ``compiled`` takes them.
        is_shared: Whether the function takes ``part`` and ``parts`` first; else the first thread does it all.
    """

    def decorate(function: Callable[..., None]) -> Callable[[], Kernel]:
        body = register_jitable(error_model="numpy")(function)
        name = function.__name__

        @cache
        def make() -> Kernel:
            names = [parameter.name for parameter in parameters_of(parameters)]
            given = ", ".join((["part", "parts"] if is_shared else []) + names)
            lead = "" if is_shared else "    if part == 0:\n    "
            imports = f"from {function.__module__} import {name} as _made\n_body = _made.plain\n"
            return compiled(name, parameters, f"{lead}    _body({given})\n", imports)

        make.plain = body  # type: ignore[attr-defined]
        return make

    return decorate
