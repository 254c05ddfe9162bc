"""The summary of a module of one's own: it is made and tried on a few random images."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import Problem, SpecError
from ...spec import OwnCall
from ..effects import Image, shape_text
from ..shapes import Summary
from .construct import constructed, seeded
from .description import OwnModule
from .importing import reason_of
from .network import lay_out, logits_of
from .permission import located
from .rows import rows_of

_KEY = "layers[0]"
_IMAGES = 4
_SEED = 2018


def summarize_own(call: OwnCall, stored: Image, num_classes: int) -> Summary:
    """The summary of a recorded module.

    Args:
        call: With its source.
        stored: (height, width, channels) of an image.
        num_classes: Classes.

    Raises:
        NoCode: Its code is not at hand.
        SpecError: It cannot be made or computed, or its output does not fit the classes.
    """
    located(call)  # asked every time: files change
    return _summarized(call.identity, call.file, stored, num_classes, _Call(call))


class _Call:
    """Carries a call past the cache: the key says already what it is."""

    def __init__(self, call: OwnCall) -> None:
        self.call = call

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=256)
def _summarized(identity: str, file: str, stored: Image, num_classes: int, carried: _Call) -> Summary:
    call = carried.call
    source = located(call)
    module = constructed(source, call, stored, _SEED).eval()
    height, width, channels = stored
    images = torch.rand(_IMAGES, channels, height, width, generator=torch.Generator().manual_seed(_SEED))
    name = f"{call.call} in {source.entry.path}"
    own = OwnModule(call, "logits", is_channels_last=False, can_round=False)
    scores = _tried(module, images, own, name, stored)
    _check_output(scores, name, num_classes, stored)
    if _are_probabilities(scores):
        own = replace(own, output="probabilities")
    plain = logits_of(module, images, own).detach()
    lay_out(module, is_channels_last=True)
    own = replace(own, is_channels_last=_is_alike(module, images, replace(own, is_channels_last=True), plain))
    if not own.is_channels_last:
        lay_out(module, is_channels_last=False)
    own = replace(own, can_round=_can_round(module, images, own, plain))
    return Summary(stored, num_classes, rows_of(module, images, own, stored, num_classes), own=own)


@torch.no_grad()
def _tried(module: nn.Module, images: Tensor, own: OwnModule, name: str, stored: Image) -> Any:
    """What the module puts out in evaluation mode, for all images and for one alone."""
    try:
        with warnings.catch_warnings(), seeded(_SEED):
            warnings.simplefilter("ignore")
            one = module(images[:1].contiguous())
            scores = module(images.contiguous())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = f"{name} cannot compute images of {shape_text(stored)}: {reason_of(error)}"
        fix = "it is called with float32 [batch, channels, height, width]"
        raise SpecError(Problem(what, fix, _KEY)) from error
    if isinstance(one, Tensor) and isinstance(scores, Tensor) and one.dim() != scores.dim():
        what = f"{name} puts out {list(one.shape)} for one image, and {list(scores.shape)} for {len(images)}"
        raise SpecError(Problem(what, "keep the first axis: squeeze() takes it away where there is one image", _KEY))
    return scores


def _check_output(scores: Any, name: str, num_classes: int, stored: Image) -> None:
    fix = f"put out one score for each of the {num_classes} classes: [batch, {num_classes}]"
    if not isinstance(scores, Tensor):
        raise SpecError(Problem(f"{name} puts out a {type(scores).__name__}, not a tensor", fix, _KEY))
    if tuple(scores.shape) != (_IMAGES, num_classes):
        shape = ", ".join(["batch", *map(str, scores.shape[1:])]) if len(scores.shape) else "one number"
        what = f"{name} puts out [{shape}] for images of {shape_text(stored)} and {num_classes} classes"
        raise SpecError(Problem(what, fix, _KEY))
    if not scores.is_floating_point() or not bool(torch.isfinite(scores).all()):
        kind = "numbers that are not finite" if scores.is_floating_point() else str(scores.dtype).removeprefix("torch.")
        raise SpecError(Problem(f"{name} puts out {kind}", fix, _KEY))


def _are_probabilities(scores: Tensor) -> bool:
    """Whether each row is a distribution, as behind a softmax: no row of logits is so by chance."""
    sums = scores.double().sum(1)
    return bool((scores >= 0).all()) and bool((sums - 1).abs().max() < 1e-4)


def _is_alike(module: nn.Module, images: Tensor, own: OwnModule, plain: Tensor, share: float = 1e-3) -> bool:
    """Whether the module computes in another layout or precision what it computes plainly, but for rounding."""
    try:
        with warnings.catch_warnings(), seeded(_SEED), torch.no_grad():
            warnings.simplefilter("ignore")
            scores = logits_of(module, images, own, rounds=share > 0.01)
            logits_of(module, images[:1], own, rounds=share > 0.01)
    except Exception:  # code that reads memory in one order, or lacks an operator in bfloat16
        return False
    spread = float(plain.abs().max()) + 1e-6
    return bool((scores - plain).abs().max() <= share * spread)


def _can_round(module: nn.Module, images: Tensor, own: OwnModule, plain: Tensor) -> bool:
    """Whether scores in bfloat16 are within 5 % of the largest, and gradients can be computed."""
    if not _is_alike(module, images, own, plain, share=0.05):
        return False
    try:
        with warnings.catch_warnings(), seeded(_SEED):
            warnings.simplefilter("ignore")
            logits_of(module, images, own, rounds=True).logsumexp(1).sum().backward()  # type: ignore[no-untyped-call]
    except Exception:
        return False
    gradients = [value.grad for value in module.parameters() if value.grad is not None]
    is_finite = all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    module.zero_grad(set_to_none=True)
    return is_finite
