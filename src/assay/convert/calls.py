"""Layers, optimizers and losses as source code calls them, where every setting is literal."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from ..nets.keras import Unfit
from .configs import LayerConfig
from .layer_words import SIGNATURES
from .literals import Names, Unknown, value_of
from .losses import Loss
from .optimizers import FORMULAS

_WITHOUT_WORD = ("name", "seed", "bias_initializer")
_SHAPES = ("input_shape", "batch_input_shape", "input_dim", "shape", "batch_shape")


def class_of(call: ast.Call, names: Names) -> str:
    """The class of ``keras.layers`` that a call makes; empty for anything else."""
    full = names.full_name(call.func)
    if full in ("keras.Input", "keras.layers.Input"):
        return "Input"
    if full.startswith("keras.layers."):
        return full.rpartition(".")[2]
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name[:1].isupper() and names.has_star(name, "keras", "keras.layers"):
        return name
    return ""


def layer_config(call: ast.Call, names: Names, place: str) -> LayerConfig:
    """The settings that the call of a layer's class gives.

    Raises:
        Unknown: One of them, or the class, is not literal.
        Unfit: There are no words for the class, or it has no such setting.
    """
    kind = class_of(call, names)
    if not kind:
        raise Unknown(call)
    if kind not in SIGNATURES:
        return LayerConfig(kind, {}, place)
    positions = SIGNATURES[kind].positions
    if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
        raise Unknown(call)
    if kind == "Convolution2D" and len(call.args) > 2:
        raise Unfit(
            "its third number is a stride today, and was the kernel's width in Keras 1", "write kernel_size=(3, 3)"
        )
    if len(call.args) > len(positions):
        raise Unknown(call)
    settings: dict[str, Any] = {}
    given = [*zip(positions, call.args, strict=False), *((one.arg or "", one.value) for one in call.keywords)]
    for name, node in given:
        if name in _WITHOUT_WORD:
            continue
        if name not in positions and name not in (*_SHAPES, "alpha", "trainable", "dtype", "kernel_initializer"):
            raise Unfit(f"{name} is no setting of today's Keras", "write it as Keras 3 spells it")
        if name.endswith("_initializer"):
            settings[name] = _initializer(node, names)
        elif name == "activation":
            settings[name] = _activation(node, names)
        elif name.endswith("_regularizer"):
            settings[name] = _penalty(node, names)
        else:
            settings[name] = value_of(node, names)
    if settings.pop("trainable", True) is not True or settings.pop("dtype", None) not in (None, "float32"):
        raise Unknown(call)
    if isinstance(settings.get("padding"), str):
        settings["padding"] = settings["padding"].lower()
    return LayerConfig(kind, settings, place)


def shape_of(config: LayerConfig) -> tuple[int | None, ...] | None:
    """The shape of one input, where a layer says it."""
    settings = config.settings
    if isinstance(settings.get("input_dim"), int):
        return (settings["input_dim"],)
    whole = settings.get("batch_shape") or settings.get("batch_input_shape")
    shape = whole[1:] if isinstance(whole, tuple) else settings.get("shape") or settings.get("input_shape")
    shape = (shape,) if isinstance(shape, int) else shape
    return shape if isinstance(shape, tuple) and shape else None


def _activation(node: ast.expr, names: Names) -> Any:
    """An activation: its name, or a function of Keras's or TensorFlow's such as ``tf.nn.relu``."""
    full = names.full_name(node)
    if full.startswith(("keras.activations.", "tensorflow.nn.", "keras.ops.")):
        return full.rpartition(".")[2]
    return value_of(node, names)


def _penalty(node: ast.expr, names: Names) -> Any:
    if not isinstance(node, ast.Call):
        return value_of(node, names)
    kind = names.full_name(node.func).removeprefix("keras.regularizers.").lower().replace("_", "")
    positions = {"l1": ("l1",), "l2": ("l2",), "l1l2": ("l1", "l2")}.get(kind)
    if positions is None or len(node.args) > len(positions):
        raise Unknown(node)
    settings: dict[str, Any] = dict(zip(positions, (value_of(one, names) for one in node.args), strict=False))
    for one in node.keywords:
        name = str(one.arg)
        settings[kind if name == "l" else name] = value_of(one.value, names)
    return {"class_name": kind, "config": settings}


def _initializer(node: ast.expr, names: Names) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    call = node if isinstance(node, ast.Call) else None
    name = names.full_name(call.func if call is not None else node).rpartition(".")[2]
    if not name:
        raise Unknown(node)
    settings: dict[str, Any] = {}
    if call is not None:
        settings |= zip(("value",), (value_of(one, names) for one in call.args), strict=False)
        settings |= {str(one.arg): value_of(one.value, names) for one in call.keywords}
    return {"class_name": name, "config": settings}


def optimizer_of(node: ast.expr | None, names: Names) -> tuple[str, dict[str, Any], float]:
    """An optimizer's class, its settings and its learning rate, with Keras's defaults.

    Raises:
        Unknown: One of them is not literal.
    """
    if node is None:
        return "rmsprop", {}, 0.001  # Keras's own default
    if isinstance(node, ast.Name) and node.id in names.calls:
        node = names.calls[node.id]
    settings: dict[str, Any] = {}
    if isinstance(node, ast.Call):
        name = names.full_name(node.func)
        if not name.startswith("keras.optimizers.") or len(node.args) > 1:
            raise Unknown(node)
        settings |= zip(("learning_rate",), (value_of(one, names) for one in node.args), strict=False)
        for one in node.keywords:
            settings["learning_rate" if one.arg == "lr" else str(one.arg)] = value_of(one.value, names)
        name = name.rpartition(".")[2]
    else:
        name = value_of(node, names)
        if not isinstance(name, str):
            raise Unknown(node)
    usual = FORMULAS.get(name.lower(), {})
    if name.lower() == "adamw":
        settings = {"weight_decay": usual["weight_decay"], **settings}
    rate = settings.get("learning_rate", usual.get("learning_rate", 0.001))
    numbers = [value for value in settings.values() if not isinstance(value, str | None)]
    if not isinstance(rate, int | float) or any(isinstance(value, tuple) for value in numbers):
        raise Unknown(node)
    return name, settings, float(rate)


def loss_of(node: ast.expr | None, names: Names) -> Any:
    """A loss or metric: its name, a function of Keras's, or a class with its settings.

    Raises:
        Unknown: It is not literal.
    """
    if node is None:
        return None
    if isinstance(node, ast.List | ast.Tuple):
        return [loss_of(one, names) for one in node.elts]
    call = node if isinstance(node, ast.Call) else None
    full = names.full_name(call.func if call is not None else node)
    if call is None and not full:
        return value_of(node, names)
    if not full.startswith(("keras.losses.", "keras.metrics.")):
        raise Unknown(node)
    if call is None:
        return full.rpartition(".")[2]
    if call.args or any(one.arg is None for one in call.keywords):
        raise Unknown(node)
    settings: Mapping[str, Any] = {str(one.arg): value_of(one.value, names) for one in call.keywords}
    return Loss(full.rpartition(".")[2], settings)
