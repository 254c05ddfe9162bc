"""Calls of Keras in a study file, such as ``Conv2D(32, (3, 3))``, answered with the layer word to write instead."""

from __future__ import annotations

import ast
from dataclasses import replace

from ..errors import Problem
from .keras import Settings, Unfit
from .kinds import spelled
from .layers import Dense, Layer
from .layers.registry import SPELLINGS
from .vocabulary import word_of


def keras_call_problem(line: str) -> Problem | None:
    """The problem that a line is a call of Keras, with the word to write instead; ``None`` where it is no such call."""
    try:
        layer = layer_of_call(line)
    except Unfit as unfit:
        return Problem(f"{line} is a call of Keras, and {unfit.what}", unfit.fix)
    return None if layer is None else Problem(f"{line} is a call of Keras", f'write "{word_of(layer)}"')


def layer_of_call(line: str) -> Layer | None:
    """The layer that a call of Keras means; ``None`` where it is no such call, or holds other than plain values.

    Arguments that only name a layer, shape its input or choose its initial weights are left out. A dense layer with a
    softmax is the last one, whose units are the classes, however many the data have.

    Raises:
        Unfit: It is one of Keras's layers, with a setting that has no words.
    """
    try:
        call = ast.parse(line.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name | ast.Attribute):
            return None
        name = spelled(call.func.id if isinstance(call.func, ast.Name) else call.func.attr)
        signature, layer_class = SPELLINGS[name]
        values = dict(zip(signature.positions, map(ast.literal_eval, call.args), strict=False))
        values |= {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
    except (SyntaxError, ValueError, KeyError, TypeError):
        return None
    settings = Settings(signature, values)
    layer = layer_class.from_keras(settings)
    settings.refuse_unread()
    return replace(layer, units="classes") if isinstance(layer, Dense) and layer.activation == "softmax" else layer
