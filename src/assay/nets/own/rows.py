"""The rows of a module of one's own: its submodules as they are used, with their shapes, parameters and FLOPs."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..effects import Image, Shape
from ..layers.record import Role
from ..parameters import Parameter
from ..receptive import whole
from ..shapes import LayerSummary
from .construct import seeded
from .description import ROOT, OwnLayer, OwnModule
from .network import logits_of

_SEED = 2018
_ROLES: dict[Role, tuple[type[nn.Module], ...]] = {
    "convolution": (nn.Conv2d,),
    "dense": (nn.Linear,),
    "norm": (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm),
    "dropout": (nn.modules.dropout._DropoutNd,),
    "pool": (
        nn.MaxPool2d,
        nn.AvgPool2d,
        nn.LPPool2d,
        nn.AdaptiveAvgPool2d,
        nn.AdaptiveMaxPool2d,
        nn.FractionalMaxPool2d,
    ),
    "form": (nn.Flatten, nn.Unflatten, nn.Identity, nn.ZeroPad2d, nn.PixelShuffle, nn.Upsample),
}


@dataclass
class _Use:
    """A submodule as it was used."""

    name: str
    module: nn.Module
    input_shape: Shape
    output_shape: Shape
    flops: float = 0.0
    starts: list[int] = field(default_factory=list)


def rows_of(
    module: nn.Module, images: Tensor, own: OwnModule, stored: Image, num_classes: int
) -> tuple[LayerSummary, ...]:
    """A row for each submodule that computes something itself, in the order of their first use.

    What the module computes or keeps outside of them stands in a first row, ``module``. FLOPs are torch's count (matrix
    products and convolutions, one multiply-add counted as 2).

    Args:
        module: In evaluation mode.
        images: Some, float32 [batch, channels, height, width].
        own: How it computes.
        stored: (height, width, channels) of an image.
        num_classes: Classes.
    """
    uses: dict[str, _Use] = {}
    counter = FlopCounterMode(display=False)
    handles = []
    for name, part in module.named_modules():
        if name and not any(True for _ in part.children()):
            handles.append(part.register_forward_pre_hook(_before(uses, name, counter)))
            handles.append(part.register_forward_hook(_after(uses, name, counter)))
    try:
        with torch.no_grad(), warnings.catch_warnings(), seeded(_SEED), counter:
            warnings.simplefilter("ignore")
            logits_of(module, images, own)
    finally:
        for handle in handles:
            handle.remove()
    used = [use for use in uses.values() if use.output_shape]
    inner = {id(tensor) for use in used for tensor in _tensors(use.module)}
    rows: list[LayerSummary] = []
    seen: set[int] = set()
    for use in used:
        rows.append(_row(use, seen, rows, stored, len(images)))
    others = [
        (name, tensor)
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if id(tensor) not in inner
    ]
    rest = max(0, round((counter.get_total_flops() - sum(use.flops for use in used)) / len(images)))
    if others or rest or not rows:
        trained = sum(tensor.numel() for _, tensor in others if tensor.requires_grad)
        fixed = sum(tensor.numel() for _, tensor in others) - trained
        kept = tuple(Parameter(name, tuple(tensor.shape), is_trained=tensor.requires_grad) for name, tensor in others)
        text, sees = type(module).__name__, whole(stored, is_vector=True)
        own_row = LayerSummary(
            ROOT, OwnLayer(text), text, stored, (num_classes,), kept, trained, fixed, rest, sees, ("",), ()
        )
        rows.insert(0, own_row)
    return tuple(rows)


def _before(uses: dict[str, _Use], name: str, counter: FlopCounterMode) -> Any:
    def note(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        given = next((value for value in inputs if isinstance(value, Tensor)), None)
        use = uses.setdefault(name, _Use(name, part, _shape(given), ()))  # type: ignore[arg-type]
        use.starts.append(counter.get_total_flops())

    return note


def _after(uses: dict[str, _Use], name: str, counter: FlopCounterMode) -> Any:
    def note(part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        use = uses[name]
        use.flops += counter.get_total_flops() - use.starts.pop()
        if isinstance(output, Tensor):
            use.output_shape = _shape(output)

    return note


def _shape(values: Any) -> Any:
    """(height, width, channels), or the number of values."""
    if not isinstance(values, Tensor) or values.dim() < 1:
        return ()
    if values.dim() == 4:
        return (values.shape[2], values.shape[3], values.shape[1])
    return (math.prod(values.shape[1:]),)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(recurse=False), *module.buffers(recurse=False)]


def _row(use: _Use, seen: set[int], rows: list[LayerSummary], stored: Image, num_images: int) -> LayerSummary:
    name, module = use.name, use.module
    tensors, trained, fixed = [], 0, 0
    for key, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
        if id(tensor) in seen:
            continue  # shared with another part, and counted there
        seen.add(id(tensor))
        is_trained = tensor.requires_grad
        tensors.append(Parameter(key, tuple(tensor.shape), is_trained=is_trained))
        if key != "num_batches_tracked":
            trained, fixed = trained + is_trained * tensor.numel(), fixed + (not is_trained) * tensor.numel()
    role: Role = next((role for role, kinds in _ROLES.items() if isinstance(module, kinds)), "activation")
    text = " ".join(str(module).split())
    before = rows[-1].name if rows else ""
    return LayerSummary(
        name, OwnLayer(text, role), text, use.input_shape or stored, use.output_shape, tuple(tensors), trained, fixed,
        round(use.flops / num_images), whole(stored, is_vector=len(use.output_shape) == 1), (before,), (),
    )  # fmt: skip
