"""Keras's calls, such as ``Conv2D(32, (3, 3), activation="relu")``, as our words: what a study file should say."""

from __future__ import annotations

import ast
from typing import Any

from .layers import spelled

# Keras's parameters in their order, and our names for those that have another.
_PARAMETERS = {
    "conv": ("filters", "kernel_size", "strides", "padding"),
    "depthwise": ("kernel_size", "strides", "padding", "depth_multiplier"),
    "separable": ("filters", "kernel_size", "strides", "padding"),
    "maxpool": ("pool_size", "strides", "padding"),
    "avgpool": ("pool_size", "strides", "padding"),
    "dense": ("units", "activation", "use_bias"),
    "dropout": ("rate",),
    "spatialdropout": ("rate",),
    "groupnorm": ("groups",),
    "activation": ("activation",),
    **dict.fromkeys(("flatten", "batchnorm", "layernorm", "globalmaxpool", "globalavgpool", "instancenorm"), ()),
    **dict.fromkeys(("relu", "leakyrelu", "elu", "gelu", "silu", "sigmoid", "tanh", "softmax"), ()),
}
_OPTIONS = {
    "padding": "padding", "strides": "stride", "dilation_rate": "dilation", "groups": "groups", "use_bias": "bias",
    "depth_multiplier": "multiplier",
}  # fmt: skip
_DEFAULTS = {"padding": "valid", "strides": 1, "dilation_rate": 1, "groups": 1, "use_bias": True, "depth_multiplier": 1}


def word_of_call(line: str) -> str:
    """The layer word that means what a Keras call means; empty where it is no such call.

    Arguments that only name a layer or shape its input are left out.
    """
    try:
        call = ast.parse(line.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return ""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name | ast.Attribute):
        return ""
    word = spelled(call.func.id if isinstance(call.func, ast.Name) else call.func.attr)
    if word not in _PARAMETERS or len(call.args) > len(_PARAMETERS[word]):
        return ""
    try:
        values = {name: ast.literal_eval(value) for name, value in zip(_PARAMETERS[word], call.args, strict=False)}
        values |= {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
        return _written(word, values)
    except (ValueError, KeyError, TypeError):
        return ""


def _written(word: str, values: dict[str, Any]) -> str:
    by_place = []
    if word in ("conv", "separable"):
        by_place.append(str(values["filters"]))
    if word in ("conv", "separable", "depthwise"):
        by_place.append("x".join(map(str, _pair(values["kernel_size"]))))
    if word in ("maxpool", "avgpool"):
        size = values.get("pool_size", 2)
        by_place.append(str(_one(size)))
        if values.get("strides") in (None, size):
            values = {key: value for key, value in values.items() if key != "strides"}
    if word == "dense":
        is_last = values.get("activation") == "softmax"  # whose units are the classes, however many the data have
        by_place.append("classes" if is_last else str(values["units"]))
    by_place += [str(values[name]) for name in ("rate",) if name in values]
    by_place += [str(values["groups"])] if word == "groupnorm" else []
    by_place += [str(values["activation"])] if values.get("activation") else []
    options = [
        f"{ours}={_text(values[theirs])}"
        for theirs, ours in _OPTIONS.items()
        if theirs in values and word != "groupnorm" and _one(values[theirs]) != _DEFAULTS[theirs]
    ]
    return " ".join([word, *by_place, *options])


def _pair(size: Any) -> tuple[Any, Any]:
    return tuple(size) if isinstance(size, tuple | list) else (size, size)


def _one(size: Any) -> Any:
    """A size that is the same both ways as one number."""
    if isinstance(size, tuple | list):
        if len(set(size)) != 1:
            raise ValueError(size)
        return size[0]
    return size


def _text(value: Any) -> str:
    value = _one(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
