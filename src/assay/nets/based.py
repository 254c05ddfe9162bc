"""The summary of an arm: layer words, alone or on a pretrained base that is cut and checked against the images, or a
module of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from .. import spec
from ..errors import Problem, SpecError, nearest
from .bases import Blueprint, blueprint_of, coding
from .blocks import Node, parse
from .effects import Image, shape_text
from .fixed_point import Normalize, lower
from .foundation import Foundation, Preparation
from .shapes import Summary, outline, summarize, summarize_on

_IN_WORDS = (
    "leave quantization out, or write the network in layer words that have a form in whole numbers "
    "(docs/guides/microcontrollers.md)"
)


def summary_of(arm: spec.Arm, stored: Image, num_classes: int) -> Summary:
    """``summarize`` for an arm with or without a base.

    Args:
        arm: Its layers, and its base.
        stored: (height, width, channels) of a stored image.
        num_classes: What ``dense classes`` stands for.

    A module of one's own is made and tried on a few random images.

    Raises:
        SpecError: As ``parse``, ``foundation_of`` and ``summarize`` have it.
        NoCode: The code of a module of one's own is not at hand.
    """
    members = arm.training.ensemble
    if members is not None:
        return replace(summary_of(_member(arm), stored, num_classes), members=members)
    call = spec.module_of(arm.layers)
    quantization = arm.training.quantization
    if quantization is not None and (call is not None or arm.base is not None):
        what = "a module of your own" if call is not None else "a network on a base"
        raise SpecError(Problem(f"{what} cannot be trained in whole numbers", _IN_WORDS, "training.quantization"))
    if call is not None:
        if arm.base is not None:
            what = "a module of your own stands on a base"
            raise SpecError(Problem(what, "leave the base out: the module is the whole network", "base"))
        from .own.summary import summarize_own

        return summarize_own(call, stored, num_classes)
    layers = parse(arm.layers)
    base = foundation_of(arm, stored)
    if base is not None:
        return summarize_on(base, layers, num_classes)
    summary = summarize(layers, stored, num_classes)
    return summary if quantization is None else _quantized(summary, quantization)


def _quantized(summary: Summary, quantization: spec.Quantization) -> Summary:
    """The network, to be trained in whole numbers.

    Raises:
        SpecError: It has a layer that cannot be, or no layer of a name that bits are given for.
    """
    names = [row.name for row in summary.layers if row.layer.role in ("convolution", "dense")]
    problems = [
        Problem(
            f"bits are given for {name}, and there is no layer with kernels of that name" if name not in known
            else f"bits are given for {name}, which has no kernel: its values have those of activations",
            nearest(name, names), f"training.quantization.layers.{name}",
        )
        for known in [{row.name for row in summary.layers}]
        for name in quantization.layers
        if name not in names
    ]  # fmt: skip
    if problems:
        raise SpecError(problems)
    quantized = replace(summary, quantization=quantization)
    try:
        graph = lower(quantized, most_parameters=None)
    except SpecError as error:
        whats = [replace(one, what=f"it cannot be trained in whole numbers: {one.what}") for one in error.problems]
        raise SpecError(replace(one, fix=_IN_WORDS, key="training.quantization") for one in whats) from None
    for operation in graph.operations:
        if isinstance(operation, Normalize):
            reason = f"{operation.name} takes mean and variance of each image, which training does in float32"
            what = f"it cannot be trained in whole numbers: {reason}"
            raise SpecError(Problem(what, _IN_WORDS, "training.quantization"))
    return quantized


def _member(arm: spec.Arm) -> spec.Arm:
    """The arm of one network of an ensemble."""
    if arm.base is not None and arm.base.is_random and arm.base.is_frozen:
        what = "the members of an ensemble differ in weights, and a frozen base is one for all of them"
        raise SpecError(Problem(what, 'give the base weights that were trained, or train = "all"', "base.weights"))
    return arm.model_copy(update={"training": arm.training.model_copy(update={"ensemble": None})})


def foundation_of(arm: spec.Arm, stored: Image) -> Foundation | None:
    """The base of an arm for stored images of a shape; ``None`` if it has none. Weights are not read.

    Raises:
        SpecError: There is no such base or block, or images do not fit it.
    """
    base = arm.base
    if base is None:
        return None
    if base.copies and arm.training.evaluation is not None:
        what = "copies keep a base's outputs of augmented images, and evaluation looks at others"
        raise SpecError(Problem(what, "leave one of them out", "training.evaluation"))
    blueprint = blueprint_of(base)
    lines = _until(blueprint, base)
    preparation = _preparation(blueprint, lines, base, stored)
    names = [name for name, _ in lines]
    if isinstance(base.learning_rate_scale, dict):
        unknown = [name for name in base.learning_rate_scale if name not in names]
        if unknown:
            key = f"base.learning_rate_scale.{unknown[0]}"
            raise SpecError(Problem(f'the base has no block "{unknown[0]}"', nearest(unknown[0], names), key))
    known = {"imagenet": "ImageNet weights", "random": "random weights"}
    return Foundation(
        title=blueprint.title,
        blocks=tuple((name, parse(block)) for name, block in lines),
        first_epochs=base.first_epochs(len(lines)),
        scales=tuple(base.scale_of(name) for name in names),
        keeps_statistics=base.keeps_statistics,
        preparation=preparation,
        is_cached=base.is_frozen and (_sees_images_once(arm.training) or base.copies > 0),
        copies=base.copies,
        weights=known.get(base.weights, f"weights {base.weights}"),
        lines=tuple(lines),
    )


def _sees_images_once(training: spec.Training) -> bool:
    """Whether every image is seen as it is stored, in training and in evaluation."""
    return training.augmentation is None and training.evaluation is None


def _until(blueprint: Blueprint, base: spec.Base) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """The blocks that are kept."""
    names = [name for name, _ in blueprint.blocks]
    if not base.until:
        return blueprint.blocks
    if base.until not in names:
        what = f'until = "{base.until}" names no block of {blueprint.title}'
        raise SpecError(Problem(what, f"its blocks are {', '.join(names)}", "base.until"))
    return blueprint.blocks[: names.index(base.until) + 1]


def _preparation(
    blueprint: Blueprint, lines: Sequence[tuple[str, tuple[Any, ...]]], base: spec.Base, stored: Image
) -> Preparation:
    height, width, channels = stored
    problems = []
    if channels != blueprint.channels:
        are = "grey" if channels == 1 else f"of {channels} channels"
        what = f"images are {are}, and {blueprint.title} sees {blueprint.channels} channels"
        if channels > 1:
            problems.append(Problem(what, "store them with as many channels", "base"))
        elif not base.repeat:
            problems.append(Problem(what, "leave repeat = false out, or choose images with colours", "base.repeat"))
    size = (base.size, base.size) if isinstance(base.size, int) else base.size or (height, width)
    key = "base.size" if base.size else "base"
    if blueprint.size is not None:
        if size != blueprint.size:
            what = f"{blueprint.title} saw images of {shape_text(blueprint.size)}, and these are {shape_text(size)}"
            fix = str(blueprint.size[0]) if len(set(blueprint.size)) == 1 else list(blueprint.size)
            problems.append(Problem(what, f"give size = {fix}", key))
    else:
        least = minimum(tuple(node for _, block in lines for node in parse(block)), blueprint.channels)
        if min(size) < least:
            what = f"images of {shape_text(size)} are smaller than the {least} x {least} that "
            what += f"{blueprint.title} needs until {lines[-1][0]}"
            problems.append(Problem(what, f"give size = {least}, which resizes them, or cut the base earlier", key))
    if problems:
        raise SpecError(problems)
    named = base.preprocessing
    coded = blueprint.coding if named == "own" else coding(named, blueprint.channels)
    return Preparation(stored, size, blueprint.channels, coded)


@cache
def minimum(nodes: tuple[Node, ...], channels: int) -> int:
    """The smallest side of an image for which every window fits and an output stands for pixels of its own.

    Raises:
        SpecError: There is none of up to 1,024 pixels.
    """
    for side in range(1, 1025):
        rows = outline(nodes, (side, side, channels))
        if rows is not None:
            stride = rows[-1].receptive_field.stride
            if stride is None or side >= max(stride):
                return side
    raise SpecError(Problem("the base fits no image of up to 1,024 pixels", "cut it earlier", "base.until"))
