"""How far a network's kernels are from their initial values, in size and in place."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..nets.build import Network

HUGE = 1e9
_NUM_VALUES = 4096  # of each kernel, evenly spaced: enough for two digits, whatever the network's size


class KernelSizes:
    """Remembers a sample of each trained kernel's initial values, and compares later values with them.

    Args:
        network: With its initial weights.
    """

    def __init__(self, network: Network) -> None:
        self._initial = {name: _sample(kernel).clone() for name, kernel in _kernels(network)}

    @staticmethod
    def trained(network: Network) -> list[Tensor]:
        """The kernels that training changes, in the network's order."""
        return [kernel for _, kernel in _kernels(network)]

    @torch.no_grad()
    def changes(self, network: Network) -> dict[str, Any] | None:
        """The kernel that shrank the most, and the farthest that one moved; ``None`` without trained kernels.

        Returns:
            ``{"shrunk": [name, share of its initial norm that is left], "moved": norm of the change over the initial
            norm}``, the latter of the kernel that moved the most.
        """
        shrunk, moved = None, 0.0
        for name, kernel in _kernels(network):
            before, now = self._initial.get(name), _sample(kernel)
            if before is None or not (size := before.norm().item()):
                continue
            share = now.norm().item() / size
            moved = max(moved, (now - before).norm().item() / size)
            if shrunk is None or share < shrunk[1]:
                shrunk = [name, short(share)]
        return None if shrunk is None else {"shrunk": shrunk, "moved": short(moved)}


def short(value: float) -> float:
    """Four digits of a number; a huge one for infinity, which JSON does not have."""
    return float(f"{value:.4g}") if math.isfinite(value) else HUGE


def _kernels(network: Network) -> list[tuple[str, Tensor]]:
    return [(name, value) for name, value in network.named_parameters() if value.dim() > 1 and value.requires_grad]


def _sample(kernel: Tensor) -> Tensor:
    values = kernel.detach().reshape(-1)
    return values[:: max(1, len(values) // _NUM_VALUES)]
