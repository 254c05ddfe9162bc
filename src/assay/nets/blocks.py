"""Networks with residual, parallel and repeated blocks: study lines parsed into a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast, get_args

from .. import spec
from ..errors import Problem, SpecError, nearest
from .kinds import ActivationName, JoinName, spelled
from .layers import Layer
from .reading import read_word

MAX_LAYERS = 1000


@dataclass(frozen=True)
class Residual:
    """Layers whose output is added to their input, or to what the shortcut makes of it; then the activation."""

    layers: tuple[Node, ...]
    shortcut: tuple[Node, ...] = ()
    activation: ActivationName = "linear"


@dataclass(frozen=True)
class Parallel:
    """Branches that read one input side by side; one without layers is the input itself."""

    branches: tuple[tuple[Node, ...], ...]
    join: JoinName = "concatenate"


@dataclass(frozen=True)
class Repeat:
    """Layers that stand several times, one after another."""

    times: int
    layers: tuple[Node, ...]


Node: TypeAlias = Layer | Residual | Parallel | Repeat


def parse(lines: Sequence[str | spec.Block | Mapping[str, Any]]) -> tuple[Node, ...]:
    """The layers that these lines stand for.

    Args:
        lines: Layer words such as ``"conv 32 3x3 relu padding=same"``, and blocks, as objects or as tables.

    Raises:
        SpecError: One or more lines break a rule; a problem for each, with a key such as ``layers[2].residual[0]``.
    """
    if not all(isinstance(line, str) for line in lines):
        lines = spec.Network(layers=tuple(lines)).layers
    reader = _Reader()
    nodes = reader.lines(lines, "layers")
    if not reader.problems and (size := sum(map(_size, nodes))) > MAX_LAYERS:
        reader.report(f"the network would have {size:,} layers", f"repeat less: {MAX_LAYERS:,} are the most", "layers")
    if reader.problems:
        raise SpecError(reader.problems)
    return nodes


class _Reader:
    """Reads a tree and collects what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def report(self, what: str, fix: str, key: str) -> None:
        self.problems.append(Problem(what, fix, key))

    def lines(self, lines: Sequence[Any], key: str) -> tuple[Node, ...]:
        nodes = (self.line(line, f"{key}[{index}]") for index, line in enumerate(lines))
        return tuple(node for node in nodes if node is not None)

    def line(self, line: str | spec.Block, key: str) -> Node | None:
        match line:
            case spec.Residual():
                main = self.lines(line.residual, f"{key}.residual")
                shortcut = self.lines(line.shortcut, f"{key}.shortcut")
                return Residual(main, shortcut, self.name(line.activation, ActivationName, f"{key}.activation"))
            case spec.Parallel():
                branches = tuple(self.branch(b, f"{key}.parallel[{i}]") for i, b in enumerate(line.parallel))
                return Parallel(branches, self.name(line.join, JoinName, f"{key}.join"))
            case spec.Repeat():
                return Repeat(self.times(line.repeat, f"{key}.repeat"), self.lines(line.layers, f"{key}.layers"))
            case str():
                problems, layer = read_word(line)
                self.problems += [problem.at(key=key) for problem in problems]
                return layer
        raise TypeError(type(line).__name__)

    def branch(self, branch: tuple[spec.Line, ...] | str, key: str) -> tuple[Node, ...]:
        if isinstance(branch, str):
            self.placeholder(branch, "a branch, a list of layers,", key)
            return ()
        return self.lines(branch, key)

    def times(self, times: int | str, key: str) -> int:
        if isinstance(times, str):
            self.placeholder(times, "a whole number, 1 or more", key)
            return 1
        if times > MAX_LAYERS:
            self.report(f"got {times}", f"give a whole number from 1 to {MAX_LAYERS:,}", key)
            return 1
        return times

    def name(self, text: str, names: Any, key: str) -> Any:
        known = get_args(names)
        word = spelled(text)
        if word not in known:
            if "{" in text:
                self.placeholder(text, f"one of {', '.join(known)}", key)
            else:
                self.report(f'"{text}" is no {key.rpartition(".")[2]}', nearest(word, known), key)
        return cast(Any, word)

    def placeholder(self, text: str, rule: str, key: str) -> None:
        factor = text.strip("{}").split(".")[0]
        what = f'"{text}" stands where {rule} belongs'
        self.report(what, f"add {factor} to [factors] or give the value", key)


def _size(node: Node) -> int:
    """How many rows the node's summary will have."""
    match node:
        case Residual():
            return 1 + sum(map(_size, (*node.layers, *node.shortcut)))
        case Parallel():
            return 1 + sum(_size(inner) for branch in node.branches for inner in branch)
        case Repeat():
            return node.times * sum(map(_size, node.layers))
    return 1
