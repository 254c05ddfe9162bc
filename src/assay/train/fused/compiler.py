"""Compiles kernels from generated source, once for each machine, and keeps the machine code on disk.

A kernel is Python source, written out for what must be known at compile time: how many accumulators there are (so that
each is a name, and LLVM keeps it in a register; an array of accumulators would live in memory), and what is rounded to
bfloat16. Sizes of images and numbers of channels are arguments, so that one kernel serves many layers. Source is
generated, not C, so that users need no compiler; llvmlite brings LLVM along, and ``lowering`` turns source into its
instructions.

All kernels have one C signature: ``part`` and ``parts`` (which share of the work to do, of how many) and the address of
64-bit words that hold the other arguments. So a step can be a list of calls (``commands``), run without Python.

Two things decide whether machine code is found again: the folder's name is a hash of what every kernel is made of
(modules in ``_CODE``, llvmlite, the processor that is compiled for), the file's name a hash of its source.
"""

from __future__ import annotations

import ast
import ctypes
import errno
import hashlib
import inspect
import os
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import platformdirs
import psutil
from numpy.typing import NDArray

from ... import disk
from ...errors import DataError
from ..compiling import announce
from . import vectors
from .instructions import Operation
from .lowering import function_lowered, lowered, tree_of
from .parameters import Parameter, parameters_of
from .target import machine, target

# What kernels are made of besides their source: a change recompiles everything. A module with ``@kernel`` that is
# missing here would run stale code where a function that its kernels call has changed.
_CODE = (
    "activation_functions.py", "commands.py", "compiler.py", "elementwise.py", "images.py", "instructions.py", "loss.py",
    "lowering.py", "normalization.py", "optimizers.py", "packing.py", "parameters.py", "pointers.py", "quantizing.py", "reorders.py",
    "target.py", "tile_products.py", "tiles.py", "vectors.py", "winograd.py",
)  # fmt: skip
_SOURCES = [Path(__file__).with_name(name) for name in _CODE]
_CLAIM_SECONDS = 60.0  # that a claim counts; no kernel takes so long
_POLL_SECONDS = 0.02
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Machine:
    """A kernel's machine code in this process.

    Args:
        address: Where it lies.
        is_cached: It was read from disk, not compiled.
        call: The function, for Python. It releases the interpreter's lock.
    """

    address: int
    is_cached: bool
    call: Callable[[int, int, int], None]


@dataclass(eq=False)
class Kernel:
    """A kernel: its source, and once it is needed its machine code. Called from Python (in tests) it does share ``part``
    of ``parts`` of its work.

    Args:
        name: The function's.
        parameters: What its words hold, in order, after ``part`` and ``parts``.
        source: Of the function's body.
        names: What free names in its source stand for.
        contracts: LLVM may fuse a product and a sum, rounding once.
    """

    name: str
    parameters: tuple[Parameter, ...]
    source: str = field(repr=False)
    names: Mapping[str, Any] = field(repr=False)
    contracts: bool = False
    _machine: Machine | None = field(default=None, repr=False)

    @property
    def module_name(self) -> str:
        """Equal source is an equal kernel, whichever layer, network or process asks for it."""
        called = [f"{name}={value.name}" for name, value in self.names.items() if isinstance(value, Operation)]
        parts = [self.name, str(self.parameters), str(self.contracts), self.source, *sorted(called)]
        return f"{self.name}_{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:16]}"

    @property
    def is_loaded(self) -> bool:
        return self._machine is not None

    @property
    def machine(self) -> Machine:
        """Its machine code: compiled, or read from disk where it was compiled before.

        Raises:
            DiskFull: Its file cannot be written for want of space. Where writing is not permitted at all, the kernel is
                compiled in memory by every process instead.
        """
        if self._machine is None:
            name = self.module_name
            address, is_cached = _native(name, self.assembly)
            self._machine = Machine(address, is_cached, ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(address))
        return self._machine

    def assembly(self) -> str:
        """LLVM's, before it optimises."""
        return lowered(
            self.module_name, self.parameters, ast.parse(self.source).body, self.names, contracts=self.contracts
        )

    @property
    def address(self) -> int:
        return self.machine.address

    def packed(self, *arguments: Any) -> NDArray[np.int64]:
        """The arguments as words; arrays are given by their addresses and must live on."""
        if len(arguments) != len(self.parameters):
            raise TypeError(f"{self.name} takes {len(self.parameters)} arguments, got {len(arguments)}")
        pairs = zip(self.parameters, arguments, strict=True)
        return np.array([word for parameter, value in pairs for word in parameter.packed(value)], np.int64)

    def __call__(self, part: int, parts: int, *arguments: Any) -> None:
        words = self.packed(*arguments)
        self.machine.call(part, parts, words.ctypes.data)


def load(kernels: Iterable[Kernel]) -> None:
    """Get the machine code of kernels. Processes that need the same ones at the same time share the work of compiling.

    Each process claims the next kernel that nobody has and nobody is compiling; those that others have claimed come last.
    """
    waiting = [kernel for kernel in dict.fromkeys(kernels) if not kernel.is_loaded]
    if missing := [kernel.name for kernel in waiting if not (folder() / f"{kernel.module_name}.o").exists()]:
        announce(missing)
    claimed_by_others = []
    for kernel in waiting:
        with _claim(kernel) as is_ours:
            if is_ours:
                kernel.machine  # noqa: B018 - compiles it
            else:
                claimed_by_others.append(kernel)
    for kernel in claimed_by_others:
        while _is_claimed(_claim_file(kernel)):
            time.sleep(_POLL_SECONDS)
        kernel.machine  # noqa: B018 - reads it, or compiles it where the other process was ended


@contextmanager
def _claim(kernel: Kernel) -> Iterator[bool]:
    """Whether a kernel may be compiled by this process inside; others leave it alone as long as that takes.

    A claim is a hint: where no file can be made there is none, and two processes that compile one kernel do no harm.
    """
    path = _claim_file(kernel)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_claimed(path):
            path.unlink(missing_ok=True)
        with open(path, "x") as file:
            file.write(f"{os.getpid()} {platform.node()}")
    except FileExistsError:
        yield False
        return
    except OSError:
        yield True
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _claim_file(kernel: Kernel) -> Path:
    return folder() / f"{kernel.module_name}.claim"


def _is_claimed(path: Path) -> bool:
    """Whether another process is compiling a kernel; one that was ended has left its claim behind."""
    try:
        is_new = time.time() - path.stat().st_mtime < _CLAIM_SECONDS
        number, _, machine = path.read_text().partition(" ")
    except OSError:
        return False
    is_gone = machine == platform.node() and not psutil.pid_exists(int(number))
    return is_new and not is_gone


def folder() -> Path:
    """Where kernels are kept: ``ASSAY_KERNELS``, or ``ASSAY_CACHE`` or the platform's cache; in it, a folder for each
    processor and version of ``_CODE``."""
    cache = os.environ.get("ASSAY_CACHE") or platformdirs.user_cache_dir("assay")
    root = os.environ.get("ASSAY_KERNELS") or Path(cache) / "kernels"
    return Path(root) / _code_version()


@cache
def _code_version() -> str:
    parts = [*(path.read_text() for path in _SOURCES), version("llvmlite"), str(target())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


_NAMES = {**vectors.OPERATIONS, "ZERO": np.float32(0), "np": np}


def compiled(name: str, parameters: str, body: str, **operations: Any) -> Kernel:
    """A kernel from generated source. Its machine code is made when it is first needed: see ``load``.

    Args:
        name: Of the function; also the start of the file's name.
        parameters: As ``parameters_of`` reads them.
        body: Source of the function's body, indented by four spaces. It may use the parameters, ``part``, ``parts``,
            ``np``, ``ZERO`` and the operations of ``vectors``.
        operations: Further operations, or functions that are written out, by the name that the body calls them.
    """
    return _compiled(name, parameters, body, tuple(operations.items()))


@cache
def _compiled(name: str, parameters: str, body: str, operations: tuple[tuple[str, Any], ...]) -> Kernel:
    source = f"if True:\n{body}"  # an indented body is no module
    return Kernel(name, parameters_of(parameters), source, {**_NAMES, **dict(operations)})


def kernel(
    parameters: str, *, is_shared: bool = True, contracts: bool = False
) -> Callable[[Callable[..., None]], Callable[[], Kernel]]:
    """Turn an ordinary function of this package into a kernel; the decorated name becomes a call that returns the kernel.

    For what needs neither vector types nor generated source: LLVM vectorises the loops itself. ``name.plain`` is the
    function.

    Args:
        parameters: As ``compiled`` takes them.
        is_shared: Whether the function takes ``part`` and ``parts`` first; if not, the first thread does it all.
        contracts: LLVM may fuse a product and a sum, rounding once.
    """

    def decorate(function: Callable[..., None]) -> Callable[[], Kernel]:
        @cache
        def make() -> Kernel:
            source = ast.unparse(tree_of(function).body)  # type: ignore[arg-type]
            if not is_shared:
                source = "if part == 0:\n" + "\n".join(f"    {line}" for line in source.splitlines())
            return Kernel(function.__name__, parameters_of(parameters), source, function.__globals__, contracts)

        make.plain = function  # type: ignore[attr-defined]
        return make

    return decorate


def function(*, has_result: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function of integers when it is first called. It releases the interpreter's lock."""

    def decorate(plain: Callable[..., Any]) -> Callable[..., Any]:
        @cache
        def native() -> Callable[..., Any]:
            text = inspect.getsource(plain)
            name = f"{plain.__name__.strip('_')}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            address, _ = _native(name, lambda: function_lowered(name, plain, has_result=has_result))
            arguments = [ctypes.c_int64] * plain.__code__.co_argcount
            return ctypes.CFUNCTYPE(ctypes.c_int64 if has_result else None, *arguments)(address)

        return lambda *arguments: native()(*arguments)

    return decorate


_lock = threading.Lock()


def _native(name: str, assembly: Callable[[], str]) -> tuple[int, bool]:
    """The address of a function's machine code, and whether that was kept; compiled and kept where it was not.

    Args:
        name: Of the function, and of its file.
        assembly: Makes its LLVM assembly.
    """
    path = folder() / f"{name}.o"
    code = _read(path)
    is_cached = code is not None
    if code is None:
        code = _code_of(assembly())
        try:
            disk.write(path, hashlib.sha256(code).digest() + code)
        except (OSError, DataError) as error:
            # A read-only home (containers, clusters) is no reason not to train; a full disk is told to the user.
            cause = error.__cause__ if isinstance(error, DataError) else error
            if getattr(cause, "errno", None) not in _UNWRITABLE:
                raise
    with _lock:
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        return engine.get_function_address(name), is_cached


def _read(path: Path) -> bytes | None:
    """Machine code that was kept; ``None`` where it was not, or was changed since: a flipped bit would be run."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == digest else None


def _code_of(assembly: str) -> bytes:
    """The object file of LLVM assembly: optimised as clang's -O3 does, but for vectors out of straight code."""
    with _lock:
        module = llvm.parse_assembly(assembly)
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.slp_vectorization = False
        builder = llvm.create_pass_builder(machine(), options)
        builder.getModulePassManager().run(module, builder)
        return bytes(machine().emit_object(module))


@cache
def _engine() -> Any:
    """Where machine code lies; it stays for the life of the process."""
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine())
