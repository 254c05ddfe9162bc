"""Code of the user's own as studies name it: ``my_nets.py:ResNet9(width=16)``, a class or function of a Python file.

Where a run is recorded, ``source=`` follows: the SHA-256 of the file's code and of the local files that it imports. The
code itself is read and imported by ``assay.nets.own``.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

from ..errors import Problem, SpecError
from .base import Problems

SYNTAX = "FILE.py:NAME(arguments)"
_TEXT = re.compile(
    r"(?P<file>.+?\.py):(?P<call>\s*[^\W\d]\w*\s*(\(.*\))?)\s*(\ssource=(?P<source>[0-9a-f]{64}))?", re.DOTALL
)
_TOML_NAMES = {"true": True, "false": False, "none": None}  # what a factor's level writes for Python's


@dataclass(frozen=True)
class OwnCall:
    """A class or a function of the user's, with its arguments.

    Args:
        file: The Python file, as the study names it.
        name: The class or function.
        arguments: The arguments as Python writes them: ``"width=16, kind='wide'"``; ``None`` for a name alone.
        source: SHA-256 of the code, where it is known.
        args, kwargs: The arguments' values.
    """

    file: str
    name: str
    arguments: str | None = None
    source: str | None = None
    args: tuple[Any, ...] = field(default=(), compare=False)
    kwargs: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def call(self) -> str:
        """The call as Python writes it."""
        return self.name if self.arguments is None else f"{self.name}({self.arguments})"

    @property
    def text(self) -> str:
        """What a study writes; of a recorded run, with the file's name instead of its path."""
        if self.source is None:
            return f"{self.file}:{self.call}"
        return f"{PurePath(self.file).name}:{self.call} source={self.source}"

    @property
    def identity(self) -> str:
        """What a run depends on: the code and its arguments, not where the code lies."""
        return self.text if self.source is None else f"{self.call} source={self.source}"

    def with_source(self, source: str) -> OwnCall:
        return replace(self, source=source)


def is_own(value: Any) -> bool:
    """Whether a value names code of one's own."""
    return isinstance(value, str) and _TEXT.fullmatch(value) is not None


def read_call(text: str, key: str = "") -> OwnCall:
    """A text as the call that it names.

    Raises:
        SpecError: It cannot be read, or an argument is no plain value.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise SpecError(Problem(f"{text!r} names no class or function in a Python file", f"write {SYNTAX}", key))
    written = match["call"].strip()
    try:
        call = ast.parse(written, mode="eval").body
    except (SyntaxError, ValueError):
        raise SpecError(Problem(f"{written!r} is no call in Python", f"write {SYNTAX}", key)) from None
    if isinstance(call, ast.Name):
        return OwnCall(match["file"], call.id, None, match["source"])
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        what = f"{written!r} is no call of a name in {PurePath(match['file']).name}"
        raise SpecError(Problem(what, f"write {SYNTAX}", key))
    name, call = call.func.id, _python_names(call)
    args = tuple(_literal(argument, "", key) for argument in call.args)
    kwargs = {str(keyword.arg): _literal(keyword.value, keyword.arg, key) for keyword in call.keywords}
    texts = [ast.unparse(argument) for argument in call.args]
    texts += [f"{keyword.arg}={ast.unparse(keyword.value)}" for keyword in call.keywords]
    return OwnCall(match["file"], name, ", ".join(texts), match["source"], args, kwargs)


def _python_names(call: ast.Call) -> ast.Call:
    def of(value: ast.expr) -> ast.expr:
        name = value.id if isinstance(value, ast.Name) else ""
        return ast.Constant(_TOML_NAMES[name]) if name in _TOML_NAMES else value

    keywords = [ast.keyword(keyword.arg, of(keyword.value)) for keyword in call.keywords]
    return ast.Call(call.func, [of(argument) for argument in call.args], keywords)


def _literal(value: ast.expr, name: str | None, key: str) -> Any:
    text = ast.unparse(value)
    if name is None or isinstance(value, ast.Starred):
        what = f"arguments of your own code cannot be unpacked ({'**' if name is None else ''}{text})"
        raise SpecError(Problem(what, "write each as name=value", key))
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        what = f"argument {f'{name}=' if name else ''}{text} is no plain value"
        fix = "give a number, a text, true or false, None, or a list of them"
        if isinstance(value, ast.Name):
            fix = f"write a text in quotes ('{text}'), or give a number, true or false, None, or a list of them"
        if re.fullmatch(r"\{\w+(\.\w+)?\}", text):
            fix = f"add {text.strip('{}')} to [factors] or give the value"
        raise SpecError(Problem(what, fix, key)) from None


def with_absolute_file(value: Any, folder: Path) -> Any:
    """The same text with the file's path made absolute, if it names code; anything else is returned as it is."""
    match = _TEXT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    path = (folder / Path(match["file"]).expanduser()).absolute()
    return f"{path}{value[match.end('file') :]}"


def text_of(
    named: Any, *, example: str = "functools.partial(ResNet9, width=16)", text: str = "my_nets.py:ResNet9(width=16)"
) -> str:
    """A class, a function or a ``functools.partial`` of one, as the text that names its call.

    Args:
        named: The object.
        example: A partial, for the message.
        text: A text that names such code, for the message.

    Raises:
        ValueError: It is no class and no function, or stands in no file of the user's own.
    """
    partial = named if isinstance(named, functools.partial) else functools.partial(named) if callable(named) else None
    make = None if partial is None else partial.func
    if partial is None or not (inspect.isclass(make) or inspect.isfunction(make)):
        kind = type(named).__name__
        fix = f'give the class, {example}, or a text such as "{text}"'
        raise ValueError(f"got an object of {kind}, which no run could make anew; {fix}")
    try:
        file = Path(inspect.getsourcefile(make) or "")
    except (TypeError, OSError):
        file = Path()
    name, written = make.__name__, text.partition(":")[0]
    is_in_file = file.suffix == ".py" and file.is_file()
    if not is_in_file or make.__qualname__ != name or not name.isidentifier():
        what = f"{name} stands in no file of its own"
        raise ValueError(f"{what}; write it into one (%%writefile {written} above the cell), at its top level")
    if {"site-packages", "dist-packages"} & set(file.parts):
        package = make.__module__.partition(".")[0]
        what = f"{name} is part of the package {package}, and code of one's own lies in a file of one's own"
        raise ValueError(f"{what}; write {written}, which imports it, with a class or function that uses it")
    arguments = [*map(repr, partial.args), *(f"{key}={value!r}" for key, value in partial.keywords.items())]
    return f"{file.absolute()}:{name}({', '.join(arguments)})"


def named_text(value: Any, *, example: str, text: str) -> Any:
    """What names code, as a text: a function its bare name, a class or a partial its call. Anything else stays."""
    if isinstance(value, str) or not callable(value):
        return value
    written = text_of(value, example=example, text=text)
    return written.removesuffix("()") if inspect.isfunction(value) else written


def checked(text: str | None) -> str | None:
    """A text that names code, for a field's validator.

    Raises:
        Problems: It cannot be read.
    """
    if text is not None:
        try:
            read_call(text)
        except SpecError as error:
            raise Problems(error.problems) from None
    return text


def identity_of_text(text: str | None) -> str | None:
    """A text that names code as it enters a run's identity: without the file, where its source is known."""
    return None if text is None else read_call(text).identity


def unused_left_out(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Serialized values without fields that say nothing, so that specs of before these fields stay as they were."""
    return {key: value for key, value in values.items() if key not in names or value is not None}
