"""Parses calls of Keras in source code: layers with their settings, penalties, initializers, optimizers."""

from __future__ import annotations

import ast
from contextlib import suppress
from typing import Any

from ..errors import Problem, SpecError
from .configs import LayerConfig
from .converted import SIGNATURES
from .scope import Scope, Unknown, called_name, value_of

OPTIMIZER_SETTINGS = ("momentum", "nesterov", "beta_1", "beta_2", "rho", "epsilon", "centered", "weight_decay")


def layer_config(kind: str, call: ast.Call, scope: Scope, file: str) -> LayerConfig:
    """The settings that the call of a layer's class gives.

    Raises:
        SpecError: They cannot be evaluated without running the code.
    """
    place = f"{kind}(...)"

    def refuse(what: str, fix: str) -> SpecError:
        return SpecError(Problem(what, fix, place, file, call.lineno))

    if kind not in SIGNATURES:
        return LayerConfig(kind, {}, place, call.lineno)
    names = SIGNATURES[kind].positions
    if len(call.args) > len(names) or any(isinstance(argument, ast.Starred) for argument in call.args):
        raise refuse("what stands in its brackets cannot be read", "name its settings: Conv2D(filters=32, ...)")
    given: list[tuple[str | None, ast.expr]] = [
        *zip(names, call.args, strict=False),
        *((keyword.arg, keyword.value) for keyword in call.keywords),
    ]
    settings: dict[str, Any] = {}
    for name, node in given:
        if name is None:
            raise refuse("its settings come from a dictionary", "write them out")
        if name in ("name", "seed", "trainable", "dtype", "bias_initializer"):
            continue
        if name.endswith("_initializer"):
            settings[name] = _initializer(node, scope)
            continue
        try:
            settings["activation" if name == "activation" else name] = (
                _activation(node, scope) if name == "activation" else _setting(name, node, scope)
            )
        except Unknown as unknown:
            what = f"{name} is {unknown.text}, which cannot be evaluated without running the code"
            raise refuse(what, "write the value") from None
    return LayerConfig(kind, settings, place, call.lineno)


def _setting(name: str, node: ast.expr, scope: Scope) -> Any:
    if name.endswith("_regularizer") and isinstance(node, ast.Call):
        kind = called_name(node.func, scope).lower().replace("_", "")
        names = {"l1": ("l1",), "l2": ("l2",), "l1l2": ("l1", "l2")}.get(kind)
        if names is None:
            raise Unknown(node)
        settings = dict(zip(names, (value_of(argument, scope) for argument in node.args), strict=False))
        for keyword in node.keywords:
            settings[{"l": kind}.get(keyword.arg or "", keyword.arg or "")] = value_of(keyword.value, scope)
        return {"class_name": kind, "config": settings}
    return value_of(node, scope)


def _initializer(node: ast.expr, scope: Scope) -> Any:
    """An initializer's name, with its settings where they are plain: ``Constant(0.25)``."""
    if isinstance(node, ast.Constant):
        return node.value
    name = called_name(getattr(node, "func", node), scope)
    settings: dict[str, Any] = {}
    if isinstance(node, ast.Call):
        with suppress(Unknown):
            settings |= zip(("value",), (value_of(argument, scope) for argument in node.args), strict=False)
            settings |= {keyword.arg or "": value_of(keyword.value, scope) for keyword in node.keywords}
    return {"class_name": name, "config": settings}


def _activation(node: ast.expr, scope: Scope) -> Any:
    """An activation: its name, or a function of Keras's or TensorFlow's such as ``tf.nn.relu``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name) and node.id in scope.imported:
        return scope.imported[node.id]
    return value_of(node, scope)


def optimizer_of(call: ast.expr, scope: Scope) -> Any:
    """An optimizer's name, with its settings if they are plain; ``None`` if it cannot be evaluated."""
    if not isinstance(call, ast.Call):
        return None
    name = called_name(call.func, scope).lower()
    rate = (
        call.args[0] if call.args else next((k.value for k in call.keywords if k.arg in ("learning_rate", "lr")), None)
    )
    settings: dict[str, Any] = {}
    try:
        value = value_of(rate, scope) if rate is not None else None
        for keyword in call.keywords:
            if keyword.arg in OPTIMIZER_SETTINGS:
                settings[keyword.arg] = value_of(keyword.value, scope)
    except Unknown:
        return None
    if isinstance(value, int | float):
        settings["learning_rate"] = float(value)
    return {"name": name, **settings} if settings else name
