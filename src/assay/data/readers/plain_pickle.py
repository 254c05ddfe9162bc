"""Reads plain data out of a pickle without running it: its opcodes are followed, nothing is imported or called.

Numbers, texts, lists, dictionaries and NumPy's arrays of numbers are what is understood; anything else is refused.
"""

from __future__ import annotations

import pickletools
from typing import Any

import numpy as np

_MOST_OPCODES = 5_000_000
# Functions that pickles of NumPy's arrays name; here they are words, never called.
_ARRAY = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}
_NDARRAY = ("numpy", "ndarray")
_DTYPE = ("numpy", "dtype")
_ENCODE = ("_codecs", "encode")
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
_NUMBERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
_TEXTS = {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
          "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}  # fmt: skip


class NotPlain(ValueError):
    """A pickle holds something else than plain data."""


class _Mark:
    pass


class _Type:
    """NumPy's type as its pickle describes it."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "="


class _Array:
    """An array whose shape, type and values follow."""

    values: Any = None


def plain_pickle(content: bytes) -> Any:
    """The value of a pickle of plain data; Python 2's texts are read as Latin-1, arrays are read-only.

    Raises:
        NotPlain: It holds anything else, or is damaged.
    """
    try:
        return _resolved(_run(content), 0)
    except NotPlain:
        raise
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        OverflowError,
        UnicodeError,
    ) as error:
        raise NotPlain(f"it is no intact pickle ({' '.join(str(error).split())[:80]})") from None


def _run(content: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        for at in range(len(stack) - 1, -1, -1):
            if isinstance(stack[at], _Mark):
                items = stack[at + 1 :]
                del stack[at:]
                return items
        raise NotPlain("it is no intact pickle (a mark is missing)")

    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if count > _MOST_OPCODES:
            raise NotPlain(f"it has more than {_MOST_OPCODES:,} values")
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                stack.append(_Mark())
            case "STOP":
                return stack.pop()
            case "POP":
                stack.pop()
            case name if name in _NUMBERS or name in _TEXTS:
                stack.append(argument)
            case name if name in _VALUES:
                stack.append(_VALUES[name])
            case name if name in _EMPTY:
                stack.append(_EMPTY[name]())
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE" | "LIST":
                stack.append((tuple if opcode.name == "TUPLE" else list)(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                size = int(opcode.name[-1])
                items = [stack.pop() for _ in range(size)][::-1]
                stack.append(tuple(items))
            case "DICT":
                items = since_mark()
                stack.append(dict(_pairs(items)))
            case "APPEND":
                item = stack.pop()
                _list(stack[-1]).append(item)
            case "APPENDS":
                items = since_mark()
                _list(stack[-1]).extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _dict(stack[-1]).update(_pairs([key, value]))
            case "SETITEMS":
                items = since_mark()
                _dict(stack[-1]).update(_pairs(items))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[int(argument or 0)] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[int(argument or 0)])
            case "GLOBAL":
                stack.append(_word(tuple(str(argument).split(" ", 1))))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(_word((module, name)))
            case "REDUCE":
                arguments, word = stack.pop(), stack.pop()
                stack.append(_reduced(word, arguments))
            case "BUILD":
                state = stack.pop()
                _build(stack[-1], state)
            case _:
                raise NotPlain(f"it does what plain data do not ({opcode.name.lower()}), and is not followed")
    raise NotPlain("it is no intact pickle (it is cut off)")


class _Word(tuple[str, str]):
    """A name that a pickle would import."""


def _word(name: tuple[Any, ...]) -> _Word:
    if not all(isinstance(part, str) for part in name):
        raise NotPlain("it is no intact pickle (a name that is no text)")
    if name not in _ARRAY | {_NDARRAY, _DTYPE, _ENCODE}:
        raise NotPlain(f"it asks for {'.'.join(map(str, name))[:60]}, which is never run")
    return _Word(name)


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    """Keys with values; a key is a text or a number, as one nested in itself would take forever to look up."""
    if not all(isinstance(key, str | bytes | int | float) for key in items[::2]):
        raise NotPlain("it has keys that are neither texts nor numbers")
    return list(zip(items[::2], items[1::2], strict=True))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise NotPlain("it is no intact pickle (values without a list)")
    return value


def _dict(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise NotPlain("it is no intact pickle (keys without a dictionary)")
    return value


def _reduced(word: Any, arguments: Any) -> Any:
    if not isinstance(word, _Word) or not isinstance(arguments, tuple):
        raise NotPlain("it calls something, and is not followed")
    if word in _ARRAY:
        return _Array()
    if word == _DTYPE:
        if not isinstance(arguments[0], str):
            raise NotPlain("it holds an array of an unknown type")
        return _Type(arguments[0])
    if word == _ENCODE:
        text, codec = arguments
        if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
            raise NotPlain("it encodes texts in another way than pickles of arrays do")
        return text.encode("latin1")
    raise NotPlain("it calls something, and is not followed")


def _build(value: Any, state: Any) -> None:
    if isinstance(value, _Type):
        value.order = state[1] if isinstance(state[1], str) and state[1] in ("<", ">", "|") else "="
        return
    if not isinstance(value, _Array):
        raise NotPlain("it builds something else than an array, and is not followed")
    _, shape, kind, is_fortran, raw = state
    if not isinstance(kind, _Type) or not isinstance(shape, tuple):
        raise NotPlain("it holds an array of an unknown type")
    raw = raw.encode("latin1") if isinstance(raw, str) else raw
    if not isinstance(raw, bytes) or kind.code[:1] not in "buif":
        raise NotPlain("it holds an array of something else than numbers")
    dtype = np.dtype(kind.code).newbyteorder(kind.order)  # type: ignore[arg-type]
    array = np.frombuffer(raw, dtype)
    value.values = array.reshape(shape, order="F" if is_fortran else "C")


def _resolved(value: Any, depth: int) -> Any:
    """The value with arrays in the place of their descriptions, of the two upper levels."""
    if isinstance(value, _Array):
        if value.values is None:
            raise NotPlain("it holds an array without values")
        return value.values
    if isinstance(value, _Word | _Type | _Mark):
        raise NotPlain("it holds something else than plain data")
    if depth < 2 and isinstance(value, dict):
        return {_key(key): _resolved(item, depth + 1) for key, item in value.items()}
    return value


def _key(key: Any) -> Any:
    return key.decode("latin1") if isinstance(key, bytes) else key
