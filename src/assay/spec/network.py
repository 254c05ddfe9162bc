"""The spec of a network: layer words and blocks.

This module checks shape and keys. ``assay.nets`` defines the words, activations and joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_serializer, model_validator

from ..errors import Problem, nearest
from .base import Problems, Spec
from .bounds import MAX_LINES
from .factors import PLACEHOLDER
from .module import lines_of
from .transfer import Base

MAX_DEPTH = 16  # nesting of blocks; reading them is recursive


class Block(Spec):
    """Several lines that belong together. A block is written back without the keys that have their default."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    @model_serializer
    def _canonical(self) -> dict[str, Any]:
        fields = type(self).model_fields
        given = {name: getattr(self, name) for name, field in fields.items() if getattr(self, name) != field.default}
        return {name: plain(value) for name, value in given.items()}


class Residual(Block):
    """A residual block: the output of the main path is added to the shortcut, then the activation is applied.

    Args:
        residual: The layers of the main path.
        shortcut: The layers of the shortcut. Without any, it is the block's input.
        activation: Applied to the sum; ``"linear"`` by default.

    Source: He et al. (2016), "Deep residual learning for image recognition".

    Example:
        >>> lines = ["conv 8 3x3 relu padding=same", "conv 8 3x3 padding=same"]
        >>> block = assay.Residual(residual=lines, activation="relu")
        >>> network = assay.Network(layers=["conv 8 3x3 relu", block, "flatten", "dense classes softmax"])
        >>> network.layers[1].activation
        'relu'
    """

    residual: tuple[Line, ...]
    shortcut: tuple[Line, ...] = ()
    activation: str = "linear"


class Parallel(Block):
    """Branches that read the same input side by side and are then joined.

    Args:
        parallel: Two branches or more, each a list of layers. An empty list passes the input on. At least one branch
            has layers.
        join: ``"concatenate"`` (along channels) or ``"add"``.

    Example:
        >>> block = assay.Parallel(parallel=[["conv 8 1x1 relu"], ["conv 8 3x3 relu padding=same"]])
        >>> block.join
        'concatenate'
    """

    parallel: tuple[Branch, ...]
    join: str = "concatenate"


class Repeat(Block):
    """Layers that are repeated one after another. Each repetition has weights of its own.

    Args:
        repeat: How many times, 1 or more; or a placeholder ``"{factor}"``.
        layers: The layers.

    Example:
        >>> network = assay.Network(layers=[
        ...     assay.Repeat(repeat=3, layers=["conv 16 3x3 relu padding=same"]), "flatten", "dense classes softmax"
        ... ])
        >>> study = assay.Study(data={"name": "digits"}, network=network)
        >>> [layer.name for layer in assay.describe(study)["study"].layers]
        ['conv1', 'conv2', 'conv3', 'flatten1', 'dense1']
    """

    repeat: Times
    layers: tuple[Line, ...]


BLOCKS: Mapping[str, type[Block]] = {"residual": Residual, "parallel": Parallel, "repeat": Repeat}


def _tag(value: Any) -> str:
    if isinstance(value, Block):
        return next(f"[{name}]" for name, block in BLOCKS.items() if isinstance(value, block))
    if isinstance(value, Mapping):
        return next(f"[{name}]" for name in BLOCKS if name in value)
    return f"[{type(value).__name__}]"


def _checked(value: Any) -> Any:
    """The line as it will be read, if its keys are those of a word or of one block.

    Raises:
        Problems: They are not.
    """
    if isinstance(value, Block):
        return value.model_dump()
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        what = f"{_short(value)} stands where a layer is expected"
        raise Problems([Problem(what, "give a layer in quotes or a block in braces; a level may be a list of them")])
    kinds = [name for name in BLOCKS if name in value]
    if not kinds:
        known = [key for block in BLOCKS.values() for key in block.model_fields]
        typo = next((fix for key in value if "mean" in (fix := nearest(str(key), list(BLOCKS)))), "")
        what = f"a block with {_keys(value) or 'no keys'} is none that is known here"
        raise Problems([Problem(what, typo or f"give it one of {', '.join(BLOCKS)} (all keys: {', '.join(known)})")])
    if len(kinds) > 1:
        raise Problems([Problem(f"one block cannot be both {kinds[0]} and {kinds[1]}", "put one into the other")])
    if problems := _problems_of_block(kinds[0], value):
        raise Problems(problems)
    return value


def _problems_of_block(kind: str, value: Mapping[str, Any]) -> list[Problem]:
    """Unknown and missing keys, empty lists, and numbers that are none."""
    fields = BLOCKS[kind].model_fields
    problems = [
        Problem(f'"{key}" is no key of a {kind} block', nearest(str(key), list(fields)))
        for key in value
        if key not in fields
    ]
    problems += [
        Problem(f'a {kind} block needs "{key}"', "add it")
        for key, field in fields.items()
        if field.is_required() and key not in value
    ]
    empty = [key for key in ("residual", "layers") if key in fields and _is_empty(value.get(key))]
    problems += [Problem(f"this {kind} block has no layers", "give it at least one", key) for key in empty]
    times = value.get("repeat", 1)
    is_count = isinstance(times, int) and not isinstance(times, bool) and times >= 1
    if not is_count and not _is_placeholder(times):
        problems.append(Problem(f"got {times!r}", "give a whole number, 1 or more", "repeat"))
    branches = value.get("parallel")
    if not isinstance(branches, list | tuple):
        return problems
    problems += [
        Problem(f"{_short(branch)} stands where a branch is expected", "give a list of layers", f"parallel[{index}]")
        for index, branch in enumerate(branches)
        if not isinstance(branch, list | tuple) and not _is_placeholder(branch)
    ]
    if len(branches) < 2 and not any(map(_is_placeholder, branches)):
        problems.append(Problem(f"this parallel block has {len(branches)} of the 2 branches it needs", "add one"))
    elif all(map(_is_empty, branches)):
        problems.append(Problem("no branch of this parallel block has layers", "give one of them some"))
    return problems


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and PLACEHOLDER.fullmatch(value) is not None


def _is_empty(lines: Any) -> bool:
    return isinstance(lines, list | tuple) and not lines


def _keys(value: Mapping[Any, Any]) -> str:
    return " and ".join(f'"{key}"' for key in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


Line: TypeAlias = Annotated[
    Annotated[
        Annotated[str, Tag("[str]")]
        | Annotated[Residual, Tag("[residual]")]
        | Annotated[Parallel, Tag("[parallel]")]
        | Annotated[Repeat, Tag("[repeat]")],
        Discriminator(_tag),
    ],
    BeforeValidator(_checked),
]


def _not_too_deep(lines: Any) -> Any:
    """The lines, if no block lies too deep in others. Asked before they are read, which recurs for each level."""
    if isinstance(lines, list | tuple) and len(lines) > MAX_LINES:
        fix = f"give fewer: {MAX_LINES:,} are the most"
        raise Problems([Problem(f"got a list of {len(lines):,} layers", fix)])
    level: list[Any] = [lines]
    for _ in range(2 * MAX_DEPTH + 2):  # a block and its list, for each
        level = [item for value in level if isinstance(value, list | tuple | Mapping) for item in _items(value)]
    if level:
        raise Problems([Problem(f"blocks lie more than {MAX_DEPTH} deep in each other", "make it flatter")])
    return lines


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, Mapping) else value


_Placeholder = Annotated[str, Field(pattern=f"^{PLACEHOLDER.pattern}$")]
Branch: TypeAlias = Annotated[
    Annotated[tuple[Line, ...], Tag("[list]")] | Annotated[_Placeholder, Tag("[str]")],
    Discriminator(lambda value: "[str]" if isinstance(value, str) else "[list]"),
]
Times: TypeAlias = Annotated[
    Annotated[int, Field(ge=1), Tag("[int]")] | Annotated[_Placeholder, Tag("[str]")], Discriminator(_tag)
]
Lines: TypeAlias = Annotated[tuple[Line, ...], BeforeValidator(_not_too_deep)]

for _block in BLOCKS.values():
    _block.model_rebuild()


def _base_or_placeholder(value: Any) -> Any:
    if isinstance(value, Base):
        return value.model_dump(mode="json", exclude_defaults=True)
    if value is None or isinstance(value, dict) or value == "none" or _is_placeholder(value):
        return value
    raise ValueError(f'got {value!r}; give a table such as {{ name = "vgg16", until = "block3" }}, or "none"')


# A base as a study writes it: a table with placeholders in it, a placeholder, or none. An arm has a ``Base``.
BaseTemplate: TypeAlias = Annotated[dict[str, Any] | str | None, BeforeValidator(_base_or_placeholder)]


class Network(Spec):
    """The layers that all arms of a study share, top to bottom.

    Each line is a layer in words, such as ``"conv 32 3x3 relu"``, or a block (docs/reference/study-file.md lists the
    words). A line may hold placeholders such as ``"dropout {rate}"``. The last line is ``"dense classes softmax"``.

    Args:
        layers: One line or more. Give ``module="my_nets.py:ResNet9(width=16)"`` instead for a network of your own
            (docs/guides/own-code.md).
        base: Pretrained layers in front of them: a :class:`Base`, a table, a placeholder, or ``"none"``.

    Example:
        >>> network = assay.Network(layers=["conv 32 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"])
        >>> len(network.layers)
        4
    """

    layers: Lines = Field(min_length=1)
    base: BaseTemplate = None

    @model_validator(mode="before")
    @classmethod
    def _module_is_a_line(cls, value: Any) -> Any:
        return lines_of(value)


def plain(value: Any) -> Any:
    """Lines as plain values: blocks as tables, tuples as lists."""
    if isinstance(value, Block):
        return value.model_dump()
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def words_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in plain lines with its path, such as ``("[2].residual[0]", "conv 8 3x3")``."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from words_in(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from words_in(item, f"{path}[{index}]")
