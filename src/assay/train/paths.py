"""Which path trains a network, and in which precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import RunError
from ..nets import Conv, Depthwise, Separable, Summary
from ..seeds import Streams
from ..spec import Device, Training
from ..spec.training import Precision
from .device import has_bfloat16, kernels_round
from .fused.plan import why_not_bfloat16, why_not_fused, why_plain
from .rates import rounds_faster

# FLOPs of an image from which torch's autocast gains more than it costs: with two convolutions on 28 x 28 pixels, a
# step of 64 takes 5.7 ms in float32 and 5.3 in bfloat16 at 0.6 million, 26 and 16 ms at 8 million.
ROUNDED_FLOPS = 1_000_000


PathName = Literal["fused", "plain", "cuda"]


def path_of(summary: Summary, training: Training, device: Device = "cpu") -> tuple[PathName, Precision]:
    """The path that trains a network, and its precision: with ``auto`` the one that is faster there.

    Raises:
        RunError: bfloat16 is asked for where it is not available, or something of one's own on a CUDA device.
    """
    if device != "cpu":
        if training.distillation is not None:
            raise RunError("a teacher's student trains on the processor", 'use device = "cpu"')
        return "cuda", _cuda_precision(summary, training, device)
    is_plain = summary.own is not None or why_plain(training) or why_not_fused(summary)
    if is_plain:
        return "plain", _torch_precision(summary, training)
    lack = why_not_bfloat16(summary) if kernels_round() else "this processor does not multiply it"
    return "fused", _chosen(training, lack, rounds_faster)


@dataclass(frozen=True)
class Path:
    """How a run is trained on this machine.

    Args:
        name: "fused", "plain" or "cuda".
        precision: Of activations and products.
        fallback: Why kernels that should have trained it do not; empty where there is nothing to say.
    """

    name: PathName
    precision: Precision
    fallback: str = ""


def usable_path(summary: Summary, training: Training, device: Device, streams: Streams) -> Path:
    """As ``path_of``, but with torch's layers where kernels cannot be compiled, or would be slow: no run fails.

    Raises:
        RunError: As ``path_of``.
        DiskFull, DataError: Kernels cannot be written.
    """
    name, precision = path_of(summary, training, device)
    if name != "fused":
        return Path(name, precision)
    from .fused.ready import why_not_compiled
    from .fused.target import target

    if not target().can_fuse:
        lack = "this processor has no fused multiply-add, without which kernels are slow"
        return Path("plain", _torch_precision(summary, training), lack)
    reason = why_not_compiled(summary, training, precision, streams)
    if reason is None:
        return Path(name, precision)
    return Path("plain", _torch_precision(summary, training), f"kernels could not be compiled ({reason})")


def _cuda_precision(summary: Summary, training: Training, device: Device) -> Precision:
    if summary.own is not None:
        raise RunError("a module of one's own trains on the processor", 'use device = "cpu"')
    own = why_plain(training)
    if own is not None:
        raise RunError(f"{own}, and trains on the processor", 'use device = "cpu"')
    if summary.quantization is not None:
        return "float32"
    return _chosen(training, "" if has_bfloat16(device) else "this CUDA device does not multiply it", lambda: True)


def _torch_precision(summary: Summary, training: Training) -> Precision:
    return _chosen(training, _torch_lacks(summary), lambda: _torch_rounds_faster(summary))


def _chosen(training: Training, lack: str, is_faster: Callable[[], bool]) -> Precision:
    """What a protocol asks for, where nothing is lacking; whether bfloat16 is faster is asked for ``auto`` alone."""
    if training.precision == "bfloat16" and lack:
        raise RunError(f"bfloat16 is not available: {lack}", 'use precision = "auto"')
    is_wanted = training.precision == "bfloat16" or (training.precision == "auto" and not lack and is_faster())
    return "bfloat16" if is_wanted and not lack else "float32"


def _torch_lacks(summary: Summary) -> str:
    """Why torch's layers cannot train a network in bfloat16; empty if they can."""
    if not has_bfloat16():
        return "this processor does not multiply it"
    if summary.quantization is not None:
        return "it is trained in whole numbers, whose sums have more bits, on torch's layers"
    if summary.own is not None and not summary.own.can_round:
        return f"{summary.own.call.call} does not compute in it, or its scores are too far from those in float32"
    return ""


def _torch_rounds_faster(summary: Summary) -> bool:
    """Whether torch's layers are faster in bfloat16: where there is enough to compute, and no convolution in groups,
    which torch computes in bfloat16 at half of float32's speed."""
    grouped = (
        isinstance(row.layer, Depthwise | Separable) or (isinstance(row.layer, Conv) and row.layer.groups > 1)
        for row in summary.layers
    )
    return summary.flops >= ROUNDED_FLOPS and not any(grouped) and rounds_faster()
