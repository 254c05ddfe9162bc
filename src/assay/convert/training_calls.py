"""Literal calls of ``compile`` and ``fit``."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .calls import loss_of, optimizer_of
from .compiled import Compiled
from .literals import Names, Unknown, value_of
from .source_data import Data, derived

_COMPILE = ("optimizer", "loss", "loss_weights", "metrics")
_COMPILE_WITHOUT_EFFECT = ("run_eagerly", "jit_compile", "steps_per_execution", "auto_scale_loss")
_FIT = ("x", "y", "batch_size", "epochs", "verbose", "callbacks", "validation_split", "validation_data")


@dataclass
class FitCall:
    """What a literal ``fit`` says.

    Args:
        place: Of the call.
        data: The images that it learns from.
        training: Epochs and batch size.
        validation: Settings of ``spec.Data``.
        notes: A sentence each.
    """

    place: str
    data: Data
    training: dict[str, int]
    validation: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def compiled_of(call: ast.Call, names: Names, place: str) -> Compiled:
    """How a model is compiled.

    Raises:
        Unknown: A setting is not literal, or one that is not read.
    """
    given = _arguments(call, _COMPILE)
    _refuse_others(given, (*_COMPILE, *_COMPILE_WITHOUT_EFFECT))
    if "loss_weights" in given and value_of(given["loss_weights"], names) is not None:
        raise Unknown(given["loss_weights"])
    name, settings, rate = optimizer_of(given.get("optimizer"), names)
    loss, metrics = (loss_of(given.get(key), names) for key in ("loss", "metrics"))
    return Compiled(place, name, settings, rate, None, place, loss, metrics)


def fit_of(call: ast.Call, arrays: Mapping[str, Data], names: Names, place: str) -> FitCall:
    """What ``fit`` learns from, and for how long.

    Raises:
        Unknown: A setting is not literal, one that is not read, or its data are no known data set as it is.
    """
    given = _arguments(call, _FIT)
    _refuse_others({name: node for name, node in given.items() if not _is_none(node)}, set(_FIT) - {"callbacks"})
    data = _data(given, arrays, names)
    usual = {"epochs": 1, "batch_size": 32}
    fit = FitCall(place, data, {name: _number(given, name, number, names) for name, number in usual.items()})
    held, split = given.get("validation_data"), given.get("validation_split")
    share = value_of(split, names) if split is not None else None
    if held is not None and not _is_none(held):
        pair = list(held.elts) if isinstance(held, ast.Tuple | ast.List) else []
        parts = [derived(one, arrays, names) for one in pair]
        if len(parts) != 2 or any(one is None or (one.name, one.part) != (data.name, "test") for one in parts):
            raise Unknown(held)
        if parts[0] is not None and parts[0].scaling != data.scaling:
            fit.notes.append(f"{place}: its validation images are scaled otherwise than its training images.")
        fit.notes.append(f"{place}: it validates on the data set's test images. They stay sealed here until the study "
                         "is revealed; 10 % of the training images validate.")  # fmt: skip
    elif share:
        if split is None or not isinstance(share, float) or not 0 < share < 1:
            raise Unknown(split or call)
        fit.validation = {"validation": {"last": share}}
    else:
        fit.notes.append(f"{place}: fit has no validation images; 10 % of the training images validate here.")
    return fit


def _arguments(call: ast.Call, positions: Sequence[str]) -> dict[str, ast.expr]:
    is_open = any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords)
    if is_open or len(call.args) > len(positions):
        raise Unknown(call)
    return dict(zip(positions, call.args, strict=False)) | {str(one.arg): one.value for one in call.keywords}


def _refuse_others(given: Mapping[str, ast.expr], read: Sequence[str] | set[str]) -> None:
    for name, node in given.items():
        if name not in read:
            raise Unknown(ast.copy_location(ast.Name(f"{name}={ast.unparse(node)}", ast.Load()), node))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _data(given: Mapping[str, ast.expr], arrays: Mapping[str, Data], names: Names) -> Data:
    if "x" not in given or "y" not in given:
        raise Unknown(next(iter(given.values()), ast.Name("nothing", ast.Load())))
    images, labels = (derived(given[key], arrays, names) for key in ("x", "y"))
    if images is None or not images.is_images or images.part != "training":
        raise Unknown(given["x"])
    if labels is None or labels.is_images or (labels.name, labels.part) != (images.name, images.part):
        raise Unknown(given["y"])
    return images


def _number(given: Mapping[str, ast.expr], name: str, usual: int, names: Names) -> int:
    value = value_of(given[name], names) if name in given else usual
    value = usual if value is None else value
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unknown(given[name])
    return value
