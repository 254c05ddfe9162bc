"""The spec of a network: layer words, and blocks of them.

The file's shape and keys are checked here; ``assay.nets`` defines the words, activations and joins.
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
    """Several lines that stand together. Written back, a block leaves out what has its default."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    @model_serializer
    def _canonical(self) -> dict[str, Any]:
        fields = type(self).model_fields
        given = {name: getattr(self, name) for name, field in fields.items() if getattr(self, name) != field.default}
        return {name: plain(value) for name, value in given.items()}


class Residual(Block):
    """Lines whose output is added to their input, or to what ``shortcut`` makes of it; then the activation.

    Args:
        residual: The main path.
        shortcut: The other path; without lines it is the input itself.
        activation: Applied to the sum.

    Source: He et al. (2016), "Deep residual learning for image recognition".
    """

    residual: tuple[Line, ...]
    shortcut: tuple[Line, ...] = ()
    activation: str = "linear"


class Parallel(Block):
    """Branches that read one input side by side, and are joined: ``concatenate`` (one's channels after another's) or
    ``add``. A branch without lines is the input itself.
    """

    parallel: tuple[Branch, ...]
    join: str = "concatenate"


class Repeat(Block):
    """Lines that stand several times, one after another; every time with weights of its own."""

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
    """A network as layer words and blocks, top to bottom (``assay.nets`` holds the vocabulary), on a base or none."""

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
