"""The base class of all specs: frozen, closed to unknown keys, compared by value, one problem per broken rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

from ..errors import Problem, SpecError, nearest
from ..numerals import counted

MISSING = "this key is required and missing"

_T = TypeVar("_T")


UNKNOWN_KEY = "this key is not known here"


class Problems(ValueError):
    """Several broken rules found by one validator."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class _SpecType(ModelMetaclass):
    def __call__(cls: type[_T], *args: Any, **values: Any) -> _T:  # noqa: N805
        try:
            spec: _T = super().__call__(*args, **values)  # type: ignore[misc]
        except ValidationError as error:
            raise SpecError(problems_of(error, cls)) from None
        return spec

    def __dir__(cls) -> list[str]:  # noqa: N805
        return [name for name in super().__dir__() if name not in _PYDANTIC]


# What pydantic brings and nobody needs who writes a study: left out of help() and tab completion.
_PYDANTIC = (set(vars(BaseModel)) - set(vars(object))) - {"model_copy", "__annotations__", "__doc__", "__module__"}


class Spec(BaseModel, metaclass=_SpecType):
    """A frozen description: equal by value, closed to unknown keys. Specs describe; functions act.

    Raises:
        SpecError: One or more rules are broken; ``problems`` holds each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Advice for keys that other tools use and Assay does not know, by key.
    HINTS: ClassVar[dict[str, str]] = {}

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in _PYDANTIC]

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """Make a spec from plain values, as read from TOML or JSON.

        Args:
            values: The fields by name.

        Raises:
            SpecError: One or more rules are broken; ``problems`` holds each.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SpecError(problems_of(error, cls)) from None


def dotted(path: Iterable[int | str]) -> str:
    """``("network", "layers", 3)`` as ``network.layers[3]``."""
    key = ""
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def parts_of(key: str) -> list[int | str]:
    """``network.layers[3]`` as ``["network", "layers", 3]``; ``dotted`` undoes it."""
    parts = re.findall(r"([^.\[\]]+)(?=[.\[]|$)|\[(\d+)\]", key)
    return [int(number) if number else word for word, number in parts]


def problems_of(error: ValidationError, model: type) -> list[Problem]:
    """Pydantic's errors as sentences: one for each value, with the rule and the fix."""
    problems: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        path = _without_union_tags(item["loc"], model)
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, Problems):
            for problem in cause.problems:
                key = dotted([*path, problem.key] if problem.key else path)
                problems[f"{key}/{problem.what}"] = Problem(problem.what, problem.fix, key)
            continue
        key = dotted(path)
        if key in problems:  # another branch of the same union
            known = problems[key]
            rule = _rule(item)
            if rule not in known.fix:
                problems[key] = Problem(known.what, f"{known.fix}, or {rule}", key)
        elif item["type"] == "extra_forbidden":
            owner, name = _owner(model, path[:-1]), str(item["loc"][-1])
            hints = getattr(owner, "HINTS", {})
            fix = hints[name] if name in hints else nearest(name, list(getattr(owner, "model_fields", {})))
            problems[key] = Problem(UNKNOWN_KEY, fix, key)
        elif item["type"] == "missing":
            problems[key] = Problem(MISSING, "add it", key)
        elif item["type"] == "literal_error":
            problems[key] = Problem(
                f"got {_short(item['input'])}", _choice(item["input"], item["ctx"]["expected"]), key
            )
        elif item["type"] == "too_short":
            has, least = item["ctx"]["actual_length"], item["ctx"]["min_length"]
            what = "this list is empty" if not has else f"this list has {counted(has, 'entry', 'entries')}"
            problems[key] = Problem(what, f"give {counted(least, 'entry', 'entries')} or more", key)
        elif cause is not None:
            problems[key] = Problem(str(cause), "", key)
        else:
            problems[key] = Problem(f"got {_short(item['input'])}", f"give {_rule(item)}", key)
    return list(problems.values())


_RULES = {
    "int_type": "a whole number",
    "float_type": "a number with a decimal point",
    "float_parsing": "a number",
    "int_parsing": "a whole number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
}


_BOUNDS = {
    "greater_than_equal": ("ge", "{} or more"),
    "greater_than": ("gt", "more than {}"),
    "less_than_equal": ("le", "at most {}"),
    "less_than": ("lt", "less than {}"),
}


def _choice(given: Any, expected: str) -> str:
    """The allowed word that somebody meant who wrote it as Keras does, or all of them."""
    allowed = re.findall(r"'([^']*)'", expected)
    if isinstance(given, str):
        plain = re.sub(r"\(.*", "", given).lower().replace("val_", "validation_", 1)
        fix = nearest(plain, allowed)
        # Three letters are near to too much (gpu to cpu), and what is sealed has no near word.
        if fix.startswith("did") and len(plain) > 3 and not plain.startswith("test"):
            return fix
    choices = expected.replace("'", '"')
    return f"give {choices}"


def _rule(item: Any) -> str:
    if item["type"] in _RULES:
        return _RULES[item["type"]]
    if item["type"] in _BOUNDS:
        name, rule = _BOUNDS[item["type"]]
        return rule.format(item["ctx"][name])
    message: str = item["msg"]
    return message.removeprefix("Input should be ").removeprefix("a valid ").replace("String should have", "a text of")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _without_union_tags(loc: Iterable[int | str], model: type) -> list[int | str]:
    """Pydantic adds the branch of a union to an error's place; a user's file has no such key."""
    path: list[int | str] = []
    for part in loc:
        is_tag = isinstance(part, str) and ("[" in part or part in {"int", "float", "str", "bool", "constrained-str"})
        if not is_tag:
            path.append(part)
    return path


def _owner(model: Any, path: Iterable[int | str]) -> Any:
    """The model that a path into another one leads to."""
    for part in path:
        if isinstance(part, int) or not hasattr(model, "model_fields"):
            continue
        field = model.model_fields.get(part)
        candidates = [] if field is None else [field.annotation, *_nested(field.annotation)]
        model = next((c for c in candidates if hasattr(c, "model_fields")), model)
    return model


def _nested(annotation: Any) -> Iterable[Any]:
    for inner in get_args(annotation):
        yield inner
        yield from _nested(inner)
