"""What a build function of hyperparameters makes, as a study's layers and settings with placeholders, and its space.

The function is called with one value after another, and what changes is compared. Nothing is taken for granted: the
placeholders are filled in for further draws, and must give what the function gives.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import Problem, SpecError
from ..spec.factors import level_name, substitute
from ..spec.search import Choice, Range, is_active, levels_for

_MOST_BUILDS = 600
_MOST_LEVELS = 16
_DRAWS = 16
_ATOMS = re.compile(r"\{[\w.]+\}|\d*\.?\d+(?:e[-+]?\d+)?|x(?=[\d{])|[A-Za-z_]\w*|\S")
_BY_HAND = "write the space by hand (docs/guides/search.md)"


@dataclass(frozen=True)
class Hyper:
    """A hyperparameter.

    Args:
        name: Its name.
        values: Of a choice; empty for a range.
        low, high, step: Of a range, both ends included.
        log: Spread over orders of magnitude.
        default: Its value unless another is given.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    default: Any = None

    @property
    def every(self) -> tuple[Any, ...] | None:
        """All values, where they are few."""
        if self.values:
            return self.values if len(self.values) <= _MOST_LEVELS else None
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return tuple(self._at(place) for place in range(count)) if count <= _MOST_LEVELS else None

    def _at(self, place: int) -> Any:
        value = self.low + place * (self.step or 0)
        return value if isinstance(self.low, int) and isinstance(self.step, int) else float(f"{value:.6g}")

    def draw(self, rng: random.Random) -> Any:
        """A value at random."""
        if self.values:
            return rng.choice(self.values)
        if self.step is not None:
            return self._at(rng.randrange(math.floor((self.high - self.low) / self.step + 1e-9) + 1))
        start, end = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = rng.uniform(start, end)
        value = math.exp(value) if self.log else value
        return round(value) if isinstance(self.low, int) else float(f"{value:.4g}")

    def probes(self) -> tuple[Any, ...]:
        """Values that show what it does."""
        if (every := self.every) is not None and len(every) <= 8:
            return every
        rng = random.Random(self.name)
        few = self.values or (self.low, self.high)
        return tuple(dict.fromkeys([few[0], few[-1], self.draw(rng), self.draw(rng)]))

    def parameter(self, when: Mapping[str, Any]) -> dict[str, Any]:
        """As ``[search.space]`` has it."""
        condition = {"when": dict(when)} if when else {}
        if self.values:
            return {"choices": list(self.values), **condition}
        more: dict[str, Any] = {"log": True} if self.log else {}
        if self.step is not None and not (self.step == 1 and isinstance(self.low, int)):
            more["step"] = self.step
        return {"low": self.low, "high": self.high, **more, **condition}


@dataclass(frozen=True)
class Sample:
    """What one set of values gives.

    Args:
        lines: Layers.
        training: Settings.
        used: The hyperparameters that were asked for, in order.
    """

    lines: list[Any]
    training: dict[str, Any]
    used: tuple[str, ...]


@dataclass
class Space:
    """A study's layers and settings with placeholders.

    Args:
        lines, training: With placeholders.
        parameters: ``[search.space]``.
        notes: A sentence each.
    """

    lines: list[Any]
    training: dict[str, Any]
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def space_of(build: Callable[[dict[str, Any]], Sample], hypers: Mapping[str, Hyper], place: str) -> Space:
    """The space of a build function.

    Args:
        build: Called with some hyperparameters' values; the others have their defaults.
        hypers: Those that were asked for so far, which calls of ``build`` add to.
        place: For messages.

    Raises:
        SpecError: Placeholders cannot express what it builds.
    """
    return _Explorer(build, hypers, place).space()


class _Explorer:
    def __init__(self, build: Callable[[dict[str, Any]], Sample], hypers: Mapping[str, Hyper], place: str) -> None:
        self._build, self._hypers, self._place = build, hypers, place
        self._samples: dict[tuple[tuple[str, Any], ...], Sample | Exception] = {}
        self._levels: dict[str, dict[str, Any]] = {}  # of hyperparameters that change more than one value
        self._held: dict[str, Any] = {}
        self._notes: list[str] = []

    def space(self) -> Space:
        lines, training = self._template({})
        used = {name for sample in self._good() for name in sample.used}
        parameters: dict[str, dict[str, Any]] = {}
        text = repr([lines, training, self._levels])
        for name, hyper in self._hypers.items():
            if name not in used or name in self._held:
                continue
            if f"{{{name}}}" not in text and f"{{{name}." not in text:
                self._notes.append(f"{self._place}: the hyperparameter {name} changes nothing that a study has.")
                continue
            when = self._when(name)
            if name in self._levels:
                parameters[name] = {"choices": self._levels[name], **({"when": when} if when else {})}
            else:
                parameters[name] = hyper.parameter(when)
        space = Space(lines, training, _ordered(parameters), self._notes)
        self._verify(space)
        return space

    def _sample(self, values: Mapping[str, Any]) -> Sample:
        given = {**self._held, **values}
        key = tuple(sorted(given.items()))
        if key not in self._samples:
            if len(self._samples) >= _MOST_BUILDS:
                what = f"its space was not understood after building {_MOST_BUILDS} networks"
                raise SpecError(Problem(what, _BY_HAND, self._place))
            try:
                self._samples[key] = self._build(given)
            except SpecError as error:
                self._samples[key] = error
        sample = self._samples[key]
        if isinstance(sample, Exception):
            raise sample
        return sample

    def _good(self) -> Iterator[Sample]:
        return (sample for sample in self._samples.values() if isinstance(sample, Sample))

    def _template(self, fixed: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Layers and settings with placeholders for all hyperparameters but the fixed ones."""
        base = self._sample(fixed)
        atoms = dict(_leaves([base.lines, base.training]))
        places: dict[tuple[Any, ...], str] = {}
        for name in base.used:
            if name in fixed or name in self._held:
                continue
            own = self._places(name, fixed, base, atoms)
            if own is None:
                hyper = self._hypers[name]
                every = hyper.every
                if every is None:
                    self._held[name] = hyper.default
                    what = f"the hyperparameter {name} changes more than the value that it is"
                    self._notes.append(f"{self._place}: {what}; it is held at {level_name(hyper.default)}.")
                    return self._template(fixed)
                parts = {level_name(value): self._template({**fixed, name: value}) for value in every}
                return self._merged(name, parts)
            places |= dict.fromkeys(own, name)
        lines, training = _filled([base.lines, base.training], (), places)
        return lines, training

    def _places(
        self, name: str, fixed: dict[str, Any], base: Sample, atoms: Mapping[tuple[Any, ...], str]
    ) -> list[tuple[Any, ...]] | None:
        """Where a hyperparameter's value stands as it is; ``None`` where it changes something else."""
        hyper = self._hypers[name]
        changed: set[tuple[Any, ...]] = set()
        for value in hyper.probes():
            try:
                sample = self._sample({**fixed, name: value})
            except SpecError:
                continue  # such as an image that is too small for so many layers
            other = dict(_leaves([sample.lines, sample.training]))
            if other.keys() != atoms.keys() or sample.used != base.used:
                return None
            differing = [path for path in atoms if other[path] != atoms[path]]
            if not all(_is(other[path], value) and _is(atoms[path], hyper.default) for path in differing):
                return None
            changed.update(differing)
        return sorted(changed, key=repr)

    def _merged(
        self, name: str, parts: dict[str, tuple[list[Any], dict[str, Any]]]
    ) -> tuple[list[Any], dict[str, Any]]:
        """One hyperparameter's templates as one, where it stands for what differs."""
        every = [lines for lines, _ in parts.values()]
        shortest = min(map(len, every))
        begin = next((at for at in range(shortest) if any(one[at] != every[0][at] for one in every)), shortest)
        end = next(
            (at for at in range(shortest - begin) if any(one[-1 - at] != every[0][-1 - at] for one in every)),
            shortest - begin,
        )
        levels: dict[str, dict[str, Any]] = {level: {} for level in parts}
        has_lines = any(len(one) > begin + end for one in every)
        if has_lines:
            for level, (lines, _) in parts.items():
                levels[level]["layers"] = lines[begin : len(lines) - end]
        trainings = [training for _, training in parts.values()]
        keys = dict.fromkeys(key for training in trainings for key in training)
        differing = [key for key in keys if any(one.get(key) != trainings[0].get(key) for one in trainings)]
        for key in differing:
            if any(key not in training for training in trainings):
                what = f"the hyperparameter {name} sets {key} for some of its values alone"
                raise SpecError(Problem(what, _BY_HAND, self._place))
            for level, (_, training) in parts.items():
                levels[level][key] = training[key]
        fields = (["layers"] if has_lines else []) + differing
        if not fields:
            return every[0], trainings[0]
        plain = {level: given[fields[0]] for level, given in levels.items()} if len(fields) == 1 else levels
        if self._levels.setdefault(name, plain) != plain:
            what = f"the hyperparameter {name} does something else beside other values of others"
            raise SpecError(Problem(what, _BY_HAND, self._place))
        holder = {one: f"{{{name}}}" if len(fields) == 1 else f"{{{name}.{one}}}" for one in fields}
        lines = [*every[0][:begin], *([holder["layers"]] if has_lines else []), *every[0][len(every[0]) - end :]]
        return lines, {**trainings[0], **{key: holder[key] for key in differing}}

    def _when(self, name: str) -> dict[str, Any]:
        """The values of others with which it is there."""
        seen = [(dict(key), sample) for key, sample in self._samples.items() if isinstance(sample, Sample)]
        if all(name in sample.used for _, sample in seen):
            return {}
        condition: dict[str, Any] = {}
        for other in self._levels:
            values = [(self._value(other, given), sample) for given, sample in seen if other in sample.used]
            present = dict.fromkeys(value for value, sample in values if name in sample.used)
            if present and len(present) < len(dict.fromkeys(value for value, _ in values)):
                condition[other] = tuple(present) if len(present) > 1 else next(iter(present))
        return condition

    def _value(self, name: str, given: Mapping[str, Any]) -> Any:
        value = given.get(name, self._hypers[name].default)
        return level_name(value) if isinstance(value, bool) else value

    def _verify(self, space: Space) -> None:
        """Compares the filled-in placeholders with what the function builds of further draws."""
        parameters = {
            name: Choice.of(one) if "choices" in one else Range.of(one) for name, one in space.parameters.items()
        }
        rng = random.Random(0)
        checked = 0
        for _ in range(4 * _DRAWS):
            values = {name: hyper.draw(rng) for name, hyper in self._hypers.items() if name not in self._held}
            try:
                sample = self._sample(values)
            except SpecError:
                continue
            chosen: dict[str, Any] = {}
            for name, parameter in parameters.items():
                if is_active(parameter, chosen):
                    value = values[name]
                    chosen[name] = level_name(value) if isinstance(parameter, Choice) else value
            try:
                levels = levels_for(parameters, chosen)
                filled = substitute([space.lines, space.training], levels)
            except (SpecError, KeyError) as error:
                filled = error
            if isinstance(filled, Exception) or not _alike(filled, [sample.lines, sample.training]):
                shown = ", ".join(f"{name} = {level_name(value)}" for name, value in values.items())
                what = f"with {shown[:200]} it builds what placeholders do not express"
                raise SpecError(Problem(what, _BY_HAND, self._place))
            checked += 1
            if checked >= _DRAWS:
                return


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The smallest parts of layers and settings, each with its place."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(one, (*path, key))
    elif isinstance(value, list | tuple):
        yield (*path, "length"), str(len(value))
        for at, one in enumerate(value):
            yield from _leaves(one, (*path, at))
    elif isinstance(value, str):
        atoms = _ATOMS.findall(value)
        yield (*path, "atoms"), str(len(atoms))
        for at, one in enumerate(atoms):
            yield (*path, ("atom", at)), one
    else:
        yield path, level_name(value) if isinstance(value, bool) else repr(value)


def _filled(value: Any, path: tuple[Any, ...], places: Mapping[tuple[Any, ...], str]) -> Any:
    """The value with placeholders at places."""
    if path in places:
        return f"{{{places[path]}}}"
    if isinstance(value, Mapping):
        return {key: _filled(one, (*path, key), places) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, (*path, at), places) for at, one in enumerate(value)]
    if isinstance(value, str):
        matches = list(_ATOMS.finditer(value))
        for at in reversed(range(len(matches))):
            if (name := places.get((*path, ("atom", at)))) is not None:
                value = f"{value[: matches[at].start()]}{{{name}}}{value[matches[at].end() :]}"
    return value


def _is(atom: str, value: Any) -> bool:
    """Whether an atom is a value as it is."""
    if isinstance(value, bool | str):
        return atom == level_name(value)
    try:
        return math.isclose(float(atom), float(value), rel_tol=1e-5, abs_tol=1e-12)
    except ValueError:
        return False


def _alike(value: Any, other: Any) -> bool:
    ours, theirs = dict(_leaves(value)), dict(_leaves(other))
    return ours.keys() == theirs.keys() and all(
        ours[path] == theirs[path] or _is(ours[path], _number(theirs[path])) for path in ours
    )


def _number(atom: str) -> Any:
    try:
        return float(atom)
    except ValueError:
        return atom


def _ordered(parameters: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those that others depend on first."""
    ordered: dict[str, dict[str, Any]] = {}
    left: Sequence[str] = list(parameters)
    while left:
        ready = [name for name in left if all(one in ordered for one in parameters[name].get("when", {}))]
        if not ready:
            break
        ordered |= {name: parameters[name] for name in ready}
        left = [name for name in left if name not in ordered]
    return {**ordered, **{name: parameters[name] for name in left}}
