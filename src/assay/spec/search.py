"""The spec of a search: space, objectives, budget, sampler and halving."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from ..errors import Problem, SpecError, nearest
from .base import Problems, Spec
from .bounds import MAX_EPOCHS, MAX_NUMBER, MAX_SEARCH_SEED
from .factors import Scalar, level_name, levels_of, placeholders, substitute
from .metric import MEASURES, OF_CLASS, OWN_METRIC, RECORDED, training_metric

Sampler = Literal["random", "tpe", "gp", "cma-es", "nsga-ii"]
Method = Literal["hyperband", "successive-halving", "asha"]
Cost: TypeAlias = str  # of COSTS, or "microseconds on" one of CORES
PROGRAM_COSTS: tuple[Cost, ...] = ("bytes", "ram", "multiply_adds")  # of the program that C export writes
COSTS: tuple[Cost, ...] = ("parameters", "flops", "seconds", *PROGRAM_COSTS)
SOUGHT_COSTS: tuple[Cost, ...] = ("parameters", "flops", *PROGRAM_COSTS)
CORES = ("cortex-m0+", "cortex-m4", "cortex-m7", "rv32ec")
ON_CORE = "microseconds on "


def _objective(given: Any) -> Any:
    """What a search may seek: costs, what is recorded of validation images, or a measure of them."""
    if not isinstance(given, str) or given in SOUGHT_COSTS:
        return given
    name = training_metric(given)
    if name in RECORDED and not name.startswith("validation"):
        raise Problems([Problem(f"got {given!r}", 'give "validation_accuracy", "validation_loss" or a measure')])
    return name


_OBJECTIVES = {
    "anyOf": [
        {"enum": ["validation_accuracy", "validation_loss", *SOUGHT_COSTS, *MEASURES[1:], OWN_METRIC]},
        {"type": "string", "pattern": rf"^({'|'.join(OF_CLASS)}):.+$"},
    ]
}
Objective = Annotated[str, BeforeValidator(_objective), WithJsonSchema(_OBJECTIVES)]

FRESH = 1000  # the finalists' first seed; a search's own seeds lie below
_DIGITS = 6  # of a float: what is stored, shown and trained is the same number

When: TypeAlias = dict[str, Scalar | tuple[Scalar, ...]]


class Range(Spec):
    """A numeric parameter of a search: numbers from ``low`` to ``high``, both included.

    Values are integers if both ends are.

    Args:
        low: The lowest value.
        high: The highest value.
        step: Only ``low``, ``low + step`` and so on. Not together with ``log``.
        log: Spread values evenly over orders of magnitude. ``low`` must be above 0.
        when: The parameter exists only if other parameters, listed above it, have one of the given values:
            ``{"block": "conv"}``.

    Example:
        >>> learning_rate = assay.Range(low=1e-4, high=1e-1, log=True)
        >>> assay.Range(low=16, high=128, step=16).is_whole
        True
    """

    low: int | float
    high: int | float
    step: int | float | None = Field(default=None, gt=0)
    log: bool = False
    when: When = {}

    @property
    def is_whole(self) -> bool:
        """Whether values are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        problems = []
        for key in ("low", "high"):
            if abs(value := getattr(self, key)) > MAX_NUMBER and self.is_whole:
                fix = f"give whole numbers up to {MAX_NUMBER:,}"
                problems.append(Problem(f"got {value:.6g}", fix, key))
        if self.low > self.high:
            what = f"low is {self.low:g}, above high ({self.high:g}), so no value is left"
            problems.append(Problem(what, "swap them", "low"))
        if self.log and self.low <= 0:
            problems.append(Problem(f"log needs numbers above 0, and low is {self.low:g}", "raise low", "low"))
        if self.log and self.step is not None:
            problems.append(Problem("log and step are both given", "give one of them, or list the values", "step"))
        if self.step is not None and self.is_whole and not isinstance(self.step, int):
            problems.append(Problem(f"got {self.step!r} between whole numbers", "give a whole number", "step"))
        if problems:
            raise Problems(problems)
        return self


class Choice(Spec):
    """A categorical parameter of a search: one of several values.

    Args:
        choices: A list of numbers or texts; or a table of named levels, which may be lists of layers. A level may hold
            placeholders of other parameters.
        when: As for :class:`Range`.

    Example:
        >>> block = assay.Choice(choices={"plain": ["conv 16 3x3 relu"], "none": []})
        >>> list(block.levels)
        ['plain', 'none']
    """

    choices: tuple[Scalar, ...] | dict[str, Any]
    when: When = {}

    @property
    def levels(self) -> dict[str, Any]:
        """The value of each level, by its name."""
        return levels_of(self.choices)

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if not self.choices:
            raise Problems([Problem("there is nothing to choose from", "list at least one value", "choices")])
        if len(self.levels) < len(self.choices):
            raise Problems([Problem("a value is listed twice", "list each once", "choices")])
        return self


Parameter: TypeAlias = Range | Choice
Value: TypeAlias = int | float | str  # of a choice: its level's name


class Halving(Spec):
    """Stop poor candidates of a search early. Epochs are the resource; a promoted run resumes where it stopped.

    Args:
        method: ``"hyperband"``; ``"successive-halving"``: one bracket of all trials; or ``"asha"``: candidates are
            promoted without waiting for their rung to fill, in each round as many runs as ``batch``.
        min_epochs: Epochs of the first rung, at least.
        max_epochs: Epochs of the last rung. Those of ``training`` if ``None``. The schedule always covers all epochs of
            ``training``.
        reduction: One in this many candidates is promoted, and is then trained this many times as long. 2 or more.

    Source: Jamieson and Talwalkar (2016); Li et al. (2018), "Hyperband", JMLR 18; Li et al. (2020), "A system for
    massively parallel hyperparameter tuning", MLSys.

    Example:
        >>> assay.Halving(method="asha", min_epochs=2, max_epochs=18).reduction
        3
    """

    method: Method = "hyperband"
    min_epochs: int = Field(default=1, ge=1, le=MAX_EPOCHS, strict=True)
    max_epochs: int | None = Field(default=None, ge=1, le=MAX_EPOCHS, strict=True)
    reduction: int = Field(default=3, ge=2, le=MAX_EPOCHS, strict=True)


def _or_one(schema: dict[str, Any]) -> None:
    """A list's JSON Schema that takes one of its items as well, as study files may write it."""
    metadata = {key: schema.pop(key) for key in ("title", "description", "default") if key in schema}
    several = dict(schema)
    schema.clear()
    schema.update(anyOf=[several, several["items"]], **metadata)


def _or_method(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"enum": list(get_args(Method)), "type": "string"}, *schema["anyOf"]]


def _as_files_write_it(schema: dict[str, Any]) -> None:
    scalars = {"type": "array", "minItems": 1, "items": {"type": ["number", "string", "boolean"]}}
    known = schema["additionalProperties"]["anyOf"]
    named = {"type": "object", "minProperties": 1, "not": {"anyOf": [{"required": ["low"]}, {"required": ["high"]}]}}
    schema["additionalProperties"] = {"anyOf": [scalars, *known, named]}
    schema["minProperties"] = 1


class Search(Spec):
    """A search for the best arm of a space. Its finalists are trained again with fresh seeds and compared.

    Args:
        space: Parameters by name: a :class:`Range`, a :class:`Choice`, a list of values, or a table. Placeholders in
            ``network`` and ``training`` refer to them. They are drawn in this order.
        objective: What to optimize: ``validation_accuracy``, ``validation_loss`` or a measure of validation images. The
            study's metric by default. A list such as ``["validation_accuracy", "parameters"]`` seeks the Pareto front.
        sampler: ``"random"``, ``"tpe"``, ``"gp"``, ``"cma-es"`` or ``"nsga-ii"``. By default ``"tpe"``, or
            ``"nsga-ii"`` for several objectives.
        trials: The number of candidates that are trained, 1 to 100,000; 50 by default. Hyperband runs whole brackets up
            to this number; by default each bracket once.
        seed: The sampler's seed. The runs of the search are trained with ``seed``, ``seed + 1`` and so on.
        replicates: Runs of each candidate, 1 to 100. Their mean is its score.
        batch: Candidates that are proposed together, 1 to 1,000, whatever the number of workers.
        halving: A :class:`Halving`, or the name of its method. ``None``: every candidate is trained to its end.
        constraints: Limits that are checked before a candidate is trained, such as ``"parameters <= 6000"``. Costs are
            ``parameters`` (Keras's total), ``flops`` (one image, forward) and ``seconds`` (estimated for one run on one
            core). Costs of the C export are ``bytes`` (constants), ``ram`` (bytes), ``multiply_adds`` and
            ``microseconds on CORE``, with the core ``cortex-m0+``, ``cortex-m4``, ``cortex-m7`` or ``rv32ec``.
        finalists: The number of best candidates that are trained with fresh seeds, as many as ``seeds`` says; 1 to 20.

    Raises:
        SpecError: One or more rules are broken; ``problems`` holds each.

    Example:
        >>> study = assay.Study(
        ...     name="small-nets",
        ...     data={"name": "digits"},
        ...     network={"layers": ["flatten", "dense {units} relu", "dense classes softmax"]},
        ...     training={"epochs": 9, "optimizer": {"name": "adam", "learning_rate": "{rate}"}},
        ...     search=assay.Search(
        ...         space={"units": assay.Range(low=8, high=64), "rate": assay.Range(low=1e-4, high=1e-1, log=True)},
        ...         trials=20,
        ...         halving="asha",
        ...         constraints=["parameters <= 4000"],
        ...     ),
        ... )
        >>> study.search.proposer, study.search.limits
        ('tpe', {'parameters': 4000.0})
    """

    space: dict[str, Parameter] = Field(json_schema_extra=_as_files_write_it)
    objective: tuple[Objective, ...] = Field(default=("validation_accuracy",), json_schema_extra=_or_one)
    sampler: Sampler | None = None
    trials: int | None = Field(default=None, ge=1, le=100_000, strict=True)
    seed: int = Field(default=0, ge=0, lt=MAX_SEARCH_SEED, strict=True)
    replicates: int = Field(default=1, ge=1, le=100, strict=True)
    batch: int = Field(default=8, ge=1, le=1000, strict=True)
    halving: Halving | None = Field(default=None, json_schema_extra=_or_method)
    constraints: tuple[str, ...] = Field(default=(), json_schema_extra=_or_one)
    finalists: int = Field(default=3, ge=1, le=20, strict=True)

    @field_validator("space", mode="before")
    @classmethod
    def _as_parameters(cls, space: Any) -> Any:
        if not isinstance(space, Mapping):
            return space
        if not space:
            raise Problems([Problem("the space is empty", "add a parameter such as units = { low = 32, high = 256 }")])
        parameters: dict[str, Parameter] = {}
        problems: list[Problem] = []
        for name, value in space.items():
            if not str(name).isidentifier():
                problems.append(Problem(f'"{name}" is not a name', "use letters, digits and _", name))
            try:
                parameters[name] = _parameter(value)
            except SpecError as error:
                inner = [Problem(p.what, p.fix, f"{name}.{p.key}" if p.key else name) for p in error.problems]
                problems += inner
        problems += _problems_of_conditions(parameters)
        if problems:
            raise Problems(problems)
        return parameters

    @field_validator("objective", mode="before")
    @classmethod
    def _as_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("constraints", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("halving", mode="before")
    @classmethod
    def _as_table(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value

    @field_validator("constraints")
    @classmethod
    def _can_be_read(cls, constraints: tuple[str, ...]) -> tuple[str, ...]:
        problems = []
        for index, text in enumerate(constraints):
            match = _CONSTRAINT.fullmatch(text.strip())
            if fix := _why_unreadable(match):
                problems.append(Problem(f'cannot read "{text}"', fix, f"[{index}]"))
        if problems:
            raise Problems(problems)
        return constraints

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        problems = []
        if not self.objective or self.objective[0] in COSTS:
            what = "a search must seek something that training decides"
            problems.append(Problem(what, 'name "validation_accuracy" or "validation_loss" first', "objective"))
        if len(set(self.objective)) < len(self.objective):
            problems.append(Problem("an objective is named twice", "name each once", "objective"))
        if len(self.objective) > 1 and self.halving is not None:
            what = "halving ranks candidates by one objective, and there are several"
            problems.append(Problem(what, "leave out halving, or give one objective and constraints", "halving"))
        if len(self.objective) > 1 and self.sampler == "cma-es":
            problems.append(Problem("cma-es seeks one objective", 'use "nsga-ii", "tpe" or "gp"', "sampler"))
        if self.halving is not None and self.proposer in ("cma-es", "nsga-ii"):
            what = f"{self.proposer} learns from whole generations trained alike, and halving stops some early"
            problems.append(Problem(what, 'leave out halving, or use "tpe", "gp" or "random"', "sampler"))
        if self.sampler == "cma-es" and not any(isinstance(p, Range) for p in self.space.values()):
            problems.append(Problem("cma-es moves numbers, and the space has only choices", 'use "tpe"', "sampler"))
        if problems:
            raise Problems(problems)
        return self

    @property
    def proposer(self) -> Sampler:
        """The sampler, as given or by default."""
        return self.sampler or ("nsga-ii" if len(self.objective) > 1 else "tpe")

    @property
    def metric(self) -> str:
        """The validation metric that candidates are ranked by."""
        return self.objective[0]

    @property
    def limits(self) -> dict[Cost, float]:
        """The largest allowed value of each cost."""
        limits: dict[Cost, float] = {}
        for text in self.constraints:
            match = _CONSTRAINT.fullmatch(text.strip())
            assert match is not None
            cost = " ".join(match[1].split())
            limits[cost] = min(limits.get(cost, math.inf), float(re.sub("[,_]", "", match[2])))
        return limits

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the search's own runs."""
        return tuple(range(self.seed, self.seed + self.replicates))


def needs_program(cost: Cost) -> bool:
    """Whether a cost is that of the program that C export writes."""
    return cost in PROGRAM_COSTS or cost.startswith(ON_CORE)


def _why_unreadable(match: re.Match[str] | None) -> str:
    """What to write instead of a constraint; empty where it can be read."""
    how = 'write it as "parameters <= 6000"'
    if match is None:
        return f"{how}; known costs: {', '.join(COSTS)}, {ON_CORE}CORE"
    name = " ".join(match[1].split())
    if name in COSTS:
        return ""
    cores = f"known cores: {', '.join(CORES)}"
    if name == ON_CORE.split()[0]:
        return f'name the core, as in "microseconds on cortex-m4 <= 5000"; {cores}'
    if not name.startswith(ON_CORE):
        return f"{how}; {nearest(name, COSTS)}"
    return "" if name.removeprefix(ON_CORE) in CORES else cores


_CONSTRAINT = re.compile(r"(\w+(?:\s+on\s+[\w+-]+)?)\s*<=\s*(\d[\d_,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)")


def _parameter(value: Any) -> Parameter:
    if isinstance(value, Range | Choice):
        return value
    if isinstance(value, list | tuple):
        return Choice.of({"choices": list(value)})
    if not isinstance(value, Mapping):
        fix = "give a list of values, a range such as { low = 1, high = 8 }, or named levels"
        raise SpecError(Problem(f"got {value!r}", fix))
    if "low" in value or "high" in value:
        return Range.of(dict(value))
    if "choices" in value:
        return Choice.of(dict(value))
    levels = dict(value)
    when = levels.pop("when") if isinstance(levels.get("when"), Mapping) else {}  # a condition beside named levels
    return Choice.of({"choices": levels, "when": when})


def _problems_of_conditions(space: Mapping[str, Parameter]) -> list[Problem]:
    """``when`` may name parameters that are listed above, and values that they can have."""
    problems, above = [], dict[str, Parameter]()
    for name, parameter in space.items():
        for other, condition in parameter.when.items():
            key = f"{name}.when.{other}"
            if other not in above:
                where = "it is listed below" if other in space else "there is no such parameter"
                fix = f"move {other} above {name}" if other in space else nearest(other, list(above) or list(space))
                problems.append(Problem(f'"{other}" cannot be a condition here: {where}', fix, key))
                continue
            problems += [
                Problem(f"{other} is never {level_name(value)}", "give a value that it can have", key)
                for value in condition_values(condition)
                if not _can_be(above[other], value)
            ]
        above[name] = parameter
    return problems


def condition_values(condition: Scalar | tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return condition if isinstance(condition, tuple) else (condition,)


def _can_be(parameter: Parameter, value: Scalar) -> bool:
    if isinstance(parameter, Choice):
        return level_name(value) in parameter.levels
    if isinstance(value, bool) or not isinstance(value, int | float) or not parameter.low <= value <= parameter.high:
        return False
    if parameter.step is not None:
        return math.isclose((value - parameter.low) / parameter.step % 1, 0, abs_tol=1e-9)
    return not parameter.is_whole or value == int(value)


def is_active(parameter: Parameter, chosen: Mapping[str, Value]) -> bool:
    """Whether a parameter is there, given the values of those above it."""
    return all(
        other in chosen and level_name(chosen[other]) in {level_name(value) for value in condition_values(condition)}
        for other, condition in parameter.when.items()
    )


def rounded(value: float) -> float:
    """A float with as many digits as are stored and shown."""
    return float(f"{value:.{_DIGITS}g}")


def levels_for(space: Mapping[str, Parameter], chosen: Mapping[str, Value]) -> dict[str, Any]:
    """What the placeholders of a candidate stand for; a level's own placeholders are filled in.

    Raises:
        SpecError: A level in use holds a placeholder of a parameter that is not there, or of itself.
    """
    levels: dict[str, Any] = {}
    for name, value in chosen.items():
        parameter = space[name]
        levels[name] = parameter.levels[str(value)] if isinstance(parameter, Choice) else value
    for _ in range(len(levels) + 1):
        inner = {name: placeholders(level) for name, level in levels.items()}
        if not any(inner.values()):
            return levels
        unknown = {used for names in inner.values() for used in names} - set(levels)
        if unknown:
            raise SpecError(missing(unknown, space))
        try:
            levels = {name: substitute(level, levels) if inner[name] else level for name, level in levels.items()}
        except KeyError as error:
            raise SpecError(no_field(error)) from None
    raise SpecError(Problem("levels refer to each other in a circle", "leave a placeholder out", "search.space"))


def no_field(error: KeyError) -> Problem:
    """The problem of a placeholder such as ``{how.kernel}`` whose level has no such field."""
    return Problem(f"{error.args[0]} is no field of its level", "give each level that field", "search.space")


def missing(names: set[str], space: Mapping[str, Parameter]) -> list[Problem]:
    """The problems of placeholders that stand for no parameter of a candidate."""
    return [
        Problem(f'"{{{name}}}" is used where its "when" does not hold', "use it only in levels where it does", "search")
        if name in space
        else Problem(f'"{{{name}}}" names no parameter', nearest(name, list(space)), "search.space")
        for name in sorted(names)
    ]
