"""Known data sets in source code, as far as what is done to their arrays is plain."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..data import entry
from .literals import Names, Unknown, value_of

_KNOWN = {f"keras.datasets.{name}.load_data": name for name in ("mnist", "fashion_mnist", "cifar10", "cifar100")}


@dataclass(frozen=True)
class Data:
    """An array of a known data set.

    Args:
        name: The data set.
        part: ``training`` or ``test``.
        is_images: Images, or their labels.
        scaling: ``none`` or ``unit``, of images.
    """

    name: str
    part: str
    is_images: bool
    scaling: str = "none"


def loaded(call: ast.expr, names: Names) -> tuple[tuple[Data, Data], tuple[Data, Data]] | None:
    """What ``mnist.load_data()`` gives; ``None`` for any other call."""
    if not isinstance(call, ast.Call) or call.args or call.keywords:
        return None
    name = _KNOWN.get(names.full_name(call.func))
    if name is None:
        return None
    return ((Data(name, "training", True), Data(name, "training", False)),
            (Data(name, "test", True), Data(name, "test", False)))  # fmt: skip


def derived(node: ast.expr, arrays: Mapping[str, Data], names: Names) -> Data | None:
    """The array that an expression makes of one in a plain way: scaled by 255, reshaped, converted.

    Returns:
        ``None`` where what it does is not seen.
    """
    try:
        return _derived(node, arrays, names)
    except Unknown:
        return None


def _derived(node: ast.expr, arrays: Mapping[str, Data], names: Names, depth: int = 0) -> Data | None:
    if depth > 20:
        return None

    def inner(one: ast.expr) -> Data | None:
        return _derived(one, arrays, names, depth + 1)

    match node:
        case ast.Name():
            return arrays.get(node.id)
        case ast.BinOp(op=ast.Div()):
            return _scaled(inner(node.left), value_of(node.right, names))
        case ast.BinOp(op=ast.Mult()):
            return _scaled(inner(node.left), 1 / float(value_of(node.right, names)))
        case ast.Subscript() if _adds_axis(node.slice):
            return inner(node.value)
        case ast.Call(func=ast.Attribute(attr="astype", value=owner), args=[kind], keywords=[]):
            data = inner(owner)
            shown = ast.unparse(kind)
            is_whole = data is not None and (not data.is_images or data.scaling == "none")
            return data if "float" in shown or (is_whole and "uint8" in shown) else None
        case ast.Call(func=ast.Attribute(attr="reshape", value=owner), keywords=[]):
            data = inner(owner)
            sides = (
                list(node.args[0].elts) if len(node.args) == 1 and isinstance(node.args[0], ast.Tuple) else node.args
            )
            return data if data is not None and _keeps_images(data, sides, names) else None
        case ast.Call(func=function, args=[first, *_]):
            data, full = inner(first), names.full_name(function)
            if data is None:
                return None
            if full == "numpy.expand_dims" and data.is_images:
                axis = node.args[1] if len(node.args) == 2 else next((k.value for k in node.keywords), None)
                return data if axis is not None and value_of(axis, names) in (-1, 3) else None
            is_one_hot = full in ("keras.utils.to_categorical", "keras.utils.np_utils.to_categorical")
            return data if is_one_hot and not data.is_images else None
    return None


def _scaled(data: Data | None, divisor: object) -> Data | None:
    if data is None or not data.is_images or data.scaling != "none" or not isinstance(divisor, int | float):
        return None
    return replace(data, scaling="unit") if math.isclose(divisor, 255, rel_tol=1e-9) else None


def _adds_axis(index: ast.expr) -> bool:
    """``[..., None]``, ``[..., np.newaxis]`` or ``[:, :, :, None]``."""
    if not isinstance(index, ast.Tuple) or len(index.elts) < 2:
        return False
    *rest, last = index.elts
    is_new = (isinstance(last, ast.Constant) and last.value is None) or ast.unparse(last).endswith("newaxis")
    is_dots = len(rest) == 1 and isinstance(rest[0], ast.Constant) and rest[0].value is ...
    is_all = len(rest) == 3 and all(isinstance(one, ast.Slice) and ast.unparse(one) == ":" for one in rest)
    return is_new and (is_dots or is_all)


def _keeps_images(data: Data, sides: list[ast.expr], names: Names) -> bool:
    """Whether a reshaping leaves each image as it is: as rows and columns, or as one vector."""
    if not data.is_images:
        return len(sides) == 1 and value_of(sides[0], names) == -1
    height, width, channels = entry(data.name).info.shape
    rest = tuple(value_of(side, names) for side in sides[1:])
    vector = height * width * channels
    whole = [(height, width, channels), (vector,), *([(height, width)] if channels == 1 else [])]
    return rest in whole or (rest == (-1,) and _is_first(sides[0], names))


def _is_first(side: ast.expr, names: Names) -> bool:
    """``len(x)`` or ``x.shape[0]``: with the number of images first, -1 is the rest."""
    text = ast.unparse(side)
    return text.startswith("len(") or text.endswith(".shape[0]")
