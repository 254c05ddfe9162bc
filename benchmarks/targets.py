"""Which instructions everybody may use: all that the processor has, or AVX2 alone, as most older processors have it."""

from __future__ import annotations

# One variable for each library that chooses its code by the processor: our kernels, oneDNN, MKL, torch's
# own operators (and what torch.compile writes), XLA. TensorFlow's other kernels are AVX2 or less in any case.
_AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
}
TARGETS: dict[str, dict[str, str]] = {"native": {}, "avx2": _AVX2}


def can_round(target: str, flags: list[str]) -> bool:
    """Whether products of bfloat16 are instructions of the target; else a bfloat16 variant would be emulated."""
    return target == "native" and bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))
