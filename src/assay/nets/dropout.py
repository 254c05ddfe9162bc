"""Dropout whose mask is ``masks.keep_mask``, computed where it is used: in forward, and again in backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .masks import halves, threshold


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, key: int, rate: float) -> Tensor:
        ctx.key, ctx.rate = key, rate
        image = values.dim() == 4
        ordered = (values.permute(0, 2, 3, 1) if image else values).contiguous()
        dropped = _kernel(ordered, key, rate)
        return dropped.permute(0, 3, 1, 2) if image else dropped

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return dropout(grads[0], ctx.key, ctx.rate), None, None


def dropout(values: Tensor, key: int | Tensor, rate: float) -> Tensor:
    """The kept values divided by ``1 - rate``, zero elsewhere. Differentiable; backward recomputes the mask.

    With a key in a tensor, which lets a recorded CUDA graph take another key at every step, the mask is the same,
    computed by torch operations, and kept for backward. So it is where no gradient is wanted: what is measured once is
    not worth half a second for importing Numba.

    Args:
        values: Floating point, (batch, channel, height, width) or (batch, unit), in any memory layout.
            Images come back in channels-last memory.
        key: 64 bits, from ``Streams.key("dropout", ordinal, step)``; or its ``masks.halves``, int64 [2].
        rate: Probability to drop, ``0 <= rate < 1``; at 0 the values come back as they are.
    """
    if rate == 0:
        return values
    if isinstance(key, Tensor) or not torch.is_grad_enabled():
        is_image = values.dim() == 4
        ordered = values.permute(0, 2, 3, 1) if is_image else values
        kept = _kept(ordered, key, rate)
        return torch.where(kept.permute(0, 3, 1, 2) if is_image else kept, values * (1 / (1 - rate)), 0)
    dropped: Tensor = _Dropout.apply(values, key, rate)  # type: ignore[no-untyped-call]
    return dropped


def _kernel(ordered: Tensor, key: int, rate: float) -> Tensor:
    """Drop from contiguous channels-last values."""
    if ordered.device.type != "cpu":
        return torch.where(_kept(ordered, key, rate), ordered * (1 / (1 - rate)), 0)
    if ordered.dtype not in (torch.float32, torch.float64):  # NumPy has no bfloat16
        return _kernel(ordered.float(), key, rate).to(ordered.dtype)
    from .hashing import drop  # imports Numba, which networks on the engine's kernels do without

    dropped = torch.empty_like(ordered)
    source, target = ordered.detach().numpy().reshape(-1), dropped.numpy().reshape(-1)
    low, high, lowest = (np.uint32(word) for word in (*halves(key), threshold(rate)))
    drop(source, target, low, high, lowest, source.dtype.type(1 / (1 - rate)))
    return dropped


def _kept(values: Tensor, key: int | Tensor, rate: float) -> Tensor:
    """The mask by torch operations, for devices that Numba's kernel does not reach.

    In signed 32-bit integers, which torch has everywhere and whose products wrap around: bits are those of unsigned
    ones, but for shifts, which copy the sign, and for comparing.
    """
    low, high = (key[0], key[1]) if isinstance(key, Tensor) else map(_signed, halves(key))
    if isinstance(low, Tensor) and isinstance(high, Tensor):
        low, high = low.to(torch.int32), high.to(torch.int32)
    # Elements beyond 2**31 need wider numbers before they wrap around.
    index = torch.arange(values.numel(), device=values.device, dtype=torch.int32 if values.numel() < 2**31 else None)
    x: Tensor = index.to(torch.int32) + low
    x = (x ^ _shifted(x, 17)) * _signed(0xED5AD4BB) + high
    x = (x ^ _shifted(x, 11)) * _signed(0xAC4C1B51)
    x = (x ^ _shifted(x, 15)) * _signed(0x31848BAB)
    x = x ^ _shifted(x, 14)
    # Without their highest bit numbers are compared as unsigned ones.
    kept: Tensor = (x ^ _signed(2**31)) >= threshold(rate) - 2**31
    return kept.reshape(values.shape)


def _signed(word: int) -> int:
    """A number of 32 bits as a signed one."""
    return word - 2**32 if word >= 2**31 else word


def _shifted(values: Tensor, bits: int) -> Tensor:
    """Shifted to the right, with zeros from the left."""
    shifted: Tensor = (values >> bits) & (2 ** (32 - bits) - 1)
    return shifted
