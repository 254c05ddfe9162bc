"""The values of layer words: what kinds there are, how their text is read and how it is written.

A field of a layer carries the ``Kind`` of its value in its annotation: parsing, error messages and the description of
the vocabulary are derived from it.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args


@dataclass(frozen=True)
class Kind:
    """How a value is read from a layer word and written back.

    Args:
        rule: What to give, for the fix of an error: "give {rule}".
        read: Text to value.
        write: Value to text; ``read`` undoes it.
        sign: How the vocabulary's description writes the value; the field's name in capitals unless given.
        choices: All texts there are, where they can be listed.

    ``read`` raises ValueError where the text breaks the rule.
    """

    rule: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str
    sign: str = ""
    choices: tuple[str, ...] = ()


def spelled(word: str) -> str:
    """A word in the vocabulary's spelling: ``"MaxPooling2D"`` as ``"maxpool"``, ``"leaky_relu"`` as ``"leakyrelu"``."""
    plain = re.sub("[_-]", "", word.lower()).removesuffix("2d")
    for long, short in (
        *(("convolution", "conv"), ("pooling", "pool"), ("average", "avg"), ("normalization", "norm")),
        *(("depthwiseconv", "depthwise"), ("separableconv", "separable"), ("swish", "silu")),
    ):
        plain = plain.replace(long, short)
    return plain


def choice(literal: Any) -> Kind:
    """One of the texts of a ``Literal``, in any spelling."""
    known = get_args(literal)

    def read(text: str) -> str:
        word = text if text in known else spelled(text)
        if word not in known:
            raise ValueError(text)
        return word

    return Kind("one of " + ", ".join(known), read, sign="|".join(known), choices=known)


def _read_count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise ValueError(text)
    return int(text)


def _read_kernel(text: str) -> tuple[int, int]:
    height, width = text.split("x")
    return _read_count(height), _read_count(width)


def _read_size(text: str) -> int:
    height, _, width = text.partition("x")
    if width and width != height:
        raise ValueError(text)
    return _read_count(height)


def _read_padding(text: str) -> int | str:
    word = spelled(text)
    return word if word in get_args(PaddingName) else _read_count(text)


def _read_units(text: str) -> int | str:
    return text if text == "classes" else _read_count(text)


def _read_number(text: str, below: float = math.inf) -> float:
    if not re.fullmatch(r"[-+.0-9eE]+", text) or not 0 <= (value := float(text)) < below:
        raise ValueError(text)
    return abs(value)


def _read_flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _write_number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


InitName = Literal["glorot", "identity", "zeros", "whitening"]
DenseInitName = Literal["glorot", "zeros"]
ActivationName = Literal["relu", "relu6", "leakyrelu", "elu", "gelu", "silu", "sigmoid", "tanh", "softmax", "linear"]
JoinName = Literal["concatenate", "add"]
PaddingName = Literal["same", "valid"]

Activation = Annotated[ActivationName, choice(ActivationName)]
Count = Annotated[int, Kind("a whole number, 1 or more", _read_count)]
Flag = Annotated[
    bool,
    Kind("true or false", _read_flag, lambda value: str(value).lower(), sign="true|false", choices=("true", "false")),
]
Init = Annotated[InitName, choice(InitName)]
DenseInit = Annotated[DenseInitName, choice(DenseInitName)]
Kernel = Annotated[
    tuple[int, int],
    Kind("height x width such as 3x3", _read_kernel, lambda size: f"{size[0]}x{size[1]}", sign="KxK"),
]
Padding = Annotated[
    PaddingName | int,
    Kind(
        "one of same, valid, or a number of pixels on every side", _read_padding, sign="same|valid|N",
        choices=get_args(PaddingName),
    ),
]  # fmt: skip
Rate = Annotated[
    float, Kind("a number from 0 (no dropout) to below 1", lambda text: _read_number(text, below=1), _write_number)
]
Size = Annotated[int, Kind("a whole number, 1 or more", _read_size)]
Units = Annotated[
    int | Literal["classes"],
    Kind("a whole number, 1 or more, or the word classes", _read_units, sign="UNITS|classes"),
]
Weight = Annotated[float, Kind("a number, 0 or more", _read_number, _write_number, sign="x")]
