"""The processor that kernels are compiled for: this one, or an older one that the environment names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm


@dataclass(frozen=True)
class Target:
    """A processor, in LLVM's words.

    Args:
        triple: Architecture, system and binary interface.
        name: Of the processor, such as "znver4" or "generic".
        features: Its instruction sets, such as "+avx2,+fma".
    """

    triple: str
    name: str
    features: str

    def has(self, feature: str) -> bool:
        return f"+{feature}" in self.features.split(",")

    @property
    def can_fuse(self) -> bool:
        """Whether it multiplies and adds in one instruction; without, each lane would be a call of the C library.

        All but x86 processors of before 2013 do. Of one that is known by name alone it is taken for granted.
        """
        return not self.triple.startswith(("x86", "i686")) or not self.features or self.has("fma")


@cache
def target() -> Target:
    """What kernels are compiled for in this process.

    ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` name another processor, to measure what an older one would do. With a
    name alone, LLVM uses what that processor has, and kernels keep to the registers that every processor has.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.get_process_triple()
    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name else llvm.get_host_cpu_features().flatten()
    return Target(triple, name or llvm.get_host_cpu_name(), features)


@cache
def machine() -> llvm.TargetMachine:
    """LLVM's compiler for the target."""
    chosen = target()
    options = {"opt": 3, "codemodel": "jitdefault", "jit": True}
    return llvm.Target.from_triple(chosen.triple).create_target_machine(
        cpu=chosen.name, features=chosen.features, **options
    )
