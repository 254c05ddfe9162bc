"""An arm's settings, as its diagnosis asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..nets import layers as words
from ..nets import parse
from ..nets.blocks import Node, Parallel, Repeat, Residual
from ..spec import Arm, module_of
from ..stats.protocol import Protocol

_BOUNDED = ("sigmoid", "tanh", "relu6")
_KINDS = ("shift", "rotation", "zoom", "shear", "crop", "cutout", "mixup", "cutmix")


def protocol_of(arm: Arm) -> Protocol:
    """What diagnoses depend on of an arm's design. A module of one's own is looked at from outside only."""
    training = arm.training
    layers = () if module_of(arm.layers) is not None else tuple(_each(parse(arm.layers)))
    norms = [layer for layer in layers if isinstance(layer, words.BatchNorm)]
    decay = {
        f"{name}={value:g}"
        for layer in layers
        for name in ("l1", "l2")
        if (value := getattr(layer, name, 0.0)) > 0
    }  # fmt: skip
    if training.optimizer.weight_decay:
        decay.add(f"weight_decay = {training.optimizer.weight_decay:g}")
    rates = [layer.rate for layer in layers if isinstance(layer, words.Dropout | words.SpatialDropout)]
    return Protocol(
        batch_size=training.batch_size,
        dropout=max(rates, default=0.0),
        augmentation=_augmentation(arm),
        decay=tuple(sorted(decay)),
        norm_momentum=max((layer.momentum for layer in norms), default=0.0),
        average_momentum=training.ema_momentum,
        begins_with_norm=bool(layers) and arm.base is None and layers[0].role == "norm",
        bounded_scores=_bounded_scores(layers),
    )


def _each(nodes: Sequence[Node]) -> Iterator[words.Layer]:
    for node in nodes:
        match node:
            case Residual():
                yield from _each(node.layers)
                yield from _each(node.shortcut)
            case Parallel():
                for branch in node.branches:
                    yield from _each(branch)
            case Repeat():
                yield from _each(node.layers)
            case _:
                yield node


def _bounded_scores(layers: Sequence[words.Layer]) -> str:
    """The bounded activation right before a softmax that stands alone at the end."""
    if len(layers) < 2 or not isinstance(layers[-1], words.Activate):
        return ""
    before = getattr(layers[-2], "activation", "linear")
    return before if before in _BOUNDED else ""


def _augmentation(arm: Arm) -> tuple[str, ...]:
    settings = arm.training.augmentation
    if settings is None:
        return ()
    kinds = [f"{kind} {value:g}" for kind in _KINDS if (value := getattr(settings, kind))]
    if settings.flip != "none":
        kinds.append(f"flip {settings.flip}")
    return (*kinds, *((f"own {settings.own}",) if settings.own else ()))
