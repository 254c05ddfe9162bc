"""Reads and writes study files: TOML to spec and back, with the file, key and line of every error."""

from __future__ import annotations

import contextlib
import copy
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..disk import read_bounded
from ..errors import DataError, InputError, Problem, SpecError
from .base import MISSING, UNKNOWN_KEY, Problems, parts_of
from .bounds import MAX_FILE_BYTES, MAX_NESTING, is_too_deep
from .data import last_of
from .module import with_absolute_module
from .own import is_own
from .study import Study, data_from_factor
from .training import Training
from .transfer import Base

WEIGHTS_FILES = (".h5", ".hdf5", ".pth", ".pt", ".npz", ".safetensors")

Check = Callable[[Study], object]


def read_study(path: str | Path, *, folder: Path | None = None, check: Check | None = None) -> Study:
    """The study that a TOML file describes, validated whole.

    Args:
        path: The file.
        folder: Where the files lie that it names; its own folder if ``None``.
        check: Further rules, as a function that raises SpecError; its problems are reported with the others.

    Raises:
        SpecError: The file is missing, is not TOML, or breaks rules: one problem for each.
    """
    path = Path(path)
    try:
        text = read_bounded(path, MAX_FILE_BYTES).decode()
    except FileNotFoundError:
        raise SpecError(Problem("there is no such file", "check the path", file=str(path))) from None
    except IsADirectoryError:
        within = ", ".join(str(study_file) for study_file in sorted(path.glob("*.toml"))[:5])
        fix = f"name a study file, such as {within}" if within else "name a study file or a shipped study"
        raise SpecError(Problem("this is a folder", fix, file=str(path))) from None
    except InputError as error:
        raise SpecError(error.problems) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(Problem(f"cannot be read ({error})", "give a TOML text file", file=str(path))) from None
    name = re.sub(r"[^\w.-]+", "-", path.stem)
    return parse_study(text, file=str(path), name=name, folder=folder, check=check)


def parse_study(text: str, *, file: str, name: str, folder: Path | None = None, check: Check | None = None) -> Study:
    """The study in a TOML text. ``file`` is for messages; ``name`` is used unless the text gives one."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+)", str(error))
        line = int(match[1]) if match else None
        what, fix = f"this is not valid TOML: {str(error).split(' (at ')[0]}", "correct the line"
        word = _bare_word(text.splitlines()[line - 1]) if line and line <= len(text.splitlines()) else ""
        if word:
            is_bool = word.lower() in ("true", "false")
            what = f"this is not valid TOML: {word} stands without quotes"
            fix = f"write {word.lower()}" if is_bool else f'write "{word}"'
        raise SpecError(Problem(what, fix, file=file, line=line)) from None
    except (RecursionError, ValueError) as error:  # Python's own bounds on nesting and on digits
        is_nested = isinstance(error, RecursionError)
        what = "its lists or tables lie too deep in each other" if is_nested else "a number in it is too long"
        raise SpecError(Problem(what, "give a study file", file=file)) from None
    if is_too_deep(values):
        what = f"its lists or tables lie more than {MAX_NESTING} deep in each other"
        raise SpecError(Problem(what, "give a study file", file=file))
    values = _with_absolute_paths({"name": name, **values}, folder or Path(file).parent)
    problems: dict[tuple[str, str], Problem] = {}
    unknown: list[str] = []
    while True:
        try:
            study = Study.of(values)
            if check is not None:
                check(study)
        except InputError as error:
            if isinstance(error, DataError) and not problems and all(problem.file for problem in error.problems):
                raise
            for problem in error.problems:
                # A required key that was removed below because it was wrong is reported once.
                is_reported = problem.what == MISSING and any(key == problem.key for key, _ in problems)
                if not is_reported and not _follows(problem, unknown):
                    problems.setdefault((problem.key, problem.what), problem)
            # Rules about the design as a whole are checked once its parts are sound: leave out the parts that
            # are not, and ask again, so that one reading names everything.
            values, is_smaller = _without(values, error.problems)
            unknown += [problem.key for problem in error.problems if problem.what == UNKNOWN_KEY]
            if is_smaller and not any(
                problem.key.startswith("data.name") or problem.file for problem in error.problems
            ):
                continue
        break
    if problems:
        raise SpecError(locate(problem, text, file) for problem in problems.values())
    return study


def _with_absolute_paths(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The values with data paths made absolute: a study file's paths are relative to the file."""
    if "factors" in values:
        values = {**values, "factors": _named_levels(values["factors"])}
    values = _with_files(values, folder)
    with contextlib.suppress(Problems):  # reported when the study is read
        values = data_from_factor(values)
    data = values.get("data")
    return {**values, "data": _absolute_data(data, folder)} if isinstance(data, dict) else values


def _absolute_data(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``[data]``, or one of several data sets, with absolute paths."""
    for key in ("name", "path", "sets"):
        if isinstance(data.get(key), list):
            tables = [{"path": one} if key == "path" and isinstance(one, str) else one for one in data[key]]
            data = {**data, key: [_absolute_data(one, folder) if isinstance(one, dict) else one for one in tables]}
    keys = ("path", "test", "corrections") if isinstance(data.get("path"), str) else ("corrections",)
    places = {key: data[key] for key in keys if isinstance(data.get(key), str) and data[key]}
    places = {key: place for key, place in places.items() if last_of(place) is None}
    absolute = {
        key: place if place.startswith("hf://") else str((folder / Path(place).expanduser()).absolute())
        for key, place in places.items()
    }
    return {**data, **absolute}


def _named_levels(factors: Any) -> Any:
    """Factors whose levels are code of one's own as named levels: names go without the path of the folder."""
    if not isinstance(factors, dict):
        return factors
    return {
        name: {str(level): level for level in levels}
        if isinstance(levels, list) and any(map(is_own, levels)) and len(set(map(str, levels))) == len(levels)
        else levels
        for name, levels in factors.items()
    }


def _with_files(value: Any, folder: Path) -> Any:
    """The same with every ``weights`` that is a relative file and every module's file made absolute, in networks, bases
    and levels of factors."""
    if isinstance(value, list):
        return [_with_files(item, folder) for item in value]
    if not isinstance(value, dict):
        return with_absolute_module(value, folder)
    resolved = {key: _with_files(item, folder) for key, item in value.items()}
    weights = resolved.get("weights")
    if isinstance(weights, str) and Path(weights).suffix in WEIGHTS_FILES and not weights.startswith(("run:", "{")):
        resolved["weights"] = str((folder / Path(weights).expanduser()).absolute())
    return resolved


_LEAVABLE = {"data", "training", "seeds"}


def _without(values: dict[str, Any], problems: Sequence[Problem]) -> tuple[dict[str, Any], bool]:
    """The values without what is wrong, and whether any of it was there.

    Elements of lists stay, and so does what others are checked against, unless it is a key that nobody knows.
    """
    remaining = copy.deepcopy(values)
    is_smaller = False
    for problem in problems:
        is_unknown = problem.what == UNKNOWN_KEY
        *owners, last = parts_of(problem.key if is_unknown else re.sub(r"\[.*", "", problem.key)) or [""]
        table: Any = remaining
        for owner in owners:
            has_it = owner in table if isinstance(table, dict) else isinstance(table, list) and isinstance(owner, int)
            table = table[owner] if has_it else None
        if isinstance(table, dict) and last in table and (is_unknown or (owners and owners[0] in _LEAVABLE)):
            del table[last]
            is_smaller = True
    return remaining, is_smaller


def _follows(problem: Problem, unknown: Sequence[str]) -> bool:
    """Whether a problem may be there only because keys were left out that are other keys, mistyped."""
    owners = {key.rpartition(".")[0] for key in unknown}
    if not owners:
        return False
    if problem.key in {*owners, *(f"{owner}.layers" for owner in owners)}:
        return True
    may_lack = problem.key in ("data", "network") or problem.key.startswith("factors")
    return may_lack and any(owner.split(".")[0] not in _LEAVABLE for owner in owners)


def locate(problem: Problem, text: str, file: str) -> Problem:
    """The problem with its file, and its line where the key stands in the text.

    What is wrong with one of several data sets stands in the factor that lists them, where one does.
    """
    listed = re.match(r"data\.name(\[\d+\])", problem.key)
    factor = re.search(r'^\s*(?:name|path)\s*=\s*"\{(\w+)\}"', text, re.MULTILINE)
    if listed and factor:
        problem = replace(problem, key=f"factors.{factor[1]}{listed[1]}")
    return problem.at(file=file, line=line_of(text, parts_of(problem.key)))


def line_of(text: str, path: Sequence[int | str]) -> int | None:
    """The line (from 1) on which a key stands, or the nearest table around it; ``None`` for neither."""
    best: tuple[int, int] | None = None
    table: list[int | str] = []
    counts: dict[str, int] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\"-]+)\s*\]", line)
        key = re.match(r"\s*([\w\"-]+(?:\s*\.\s*[\w\"-]+)*)\s*=", line)
        if header:
            table = [part.strip('" ') for part in header[2].split(".")]
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                table.append(counts[header[2]])
            elif str(table[0]) in counts:
                table.insert(1, counts[str(table[0])])
            entry: list[int | str] = table
        elif key:
            entry = [*table, *(part.strip('" ') for part in key[1].split("."))]
        else:
            continue
        depth = len(entry)
        if list(path[:depth]) == entry and (best is None or depth > best[0]):
            rest = path[depth:]
            best = (depth, number + _element_offset(lines[number - 1 :], rest) if key and rest else number)
    return best[1] if best else None


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|\#[^\n]*)
      | (?P<text>"(?:[^"\\\n]|\\.)*" | '[^'\n]*')
      | (?P<mark>[\[\]{},=\n])
      | (?P<bare>[^\s\[\]{},="'\#]+ | .)""",
    re.VERBOSE,
)


_NUMBER = re.compile(r"[+-]?(\d[\d_]*(\.[\d_]+)?([eE][+-]?\d+)?|inf|nan|0x[\da-fA-F]+)")


def _bare_word(line: str) -> str:
    """The words of a value that TOML wants in quotes, such as ``adam`` of ``optimizer = adam``; empty for none."""
    key = re.match(r"\s*[\w.\"-]+\s*=", line)
    if key is None and ("," not in line or line.lstrip().startswith("[")):
        return ""  # no value, nor a part of a list
    tokens = [token for token in _TOKEN.finditer(line, key.end() if key else 0) if token["space"] is None]
    if any(token["bare"] in ('"', "'") for token in tokens):
        return ""  # a text without its end
    words: list[str] = []
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        bare = token["bare"]
        is_key = following is not None and following["mark"] == "="
        is_plain = bare is None or is_key or bare in ("true", "false") or _NUMBER.fullmatch(bare)
        if words and bare is None:
            break
        if bare is not None and (words or (not is_plain and re.match(r"[A-Za-z_]", bare))):
            words.append(bare)
    return " ".join(words)


def _element_offset(lines: Sequence[str], rest: Sequence[int | str]) -> int:
    """How many lines below ``key = `` the part of its value at ``rest`` starts, or the nearest part around it."""
    text = "\n".join(lines)
    path: list[Any] = []  # of the value that comes next: a number in a list, a key in a table
    best = depth = offset = 0
    word, is_key = "", False
    for token in _TOKEN.finditer(text, text.index("=") + 1):
        mark = token["mark"]
        if token["space"] is not None:
            continue
        if mark in (None, "[", "{") and not is_key and len(path) > depth and path == list(rest[: len(path)]):
            best, depth = offset, len(path)
        if mark is None:
            word = token[0].strip("\"'")
        elif mark == "\n":
            offset += 1
        elif mark == "=" and path:
            path[-1], is_key = word, False
        elif mark in "[{":
            path.append(0 if mark == "[" else "")
            is_key = mark == "{"
        elif mark == "," and path:
            is_key = isinstance(path[-1], str)
            path[-1] = "" if is_key else path[-1] + 1
        elif mark in "]}" and path:
            path.pop()
            is_key = False
        if depth == len(rest) or not path:
            break
    return best


def study_toml(study: Study) -> str:
    """The study as a TOML text that reads back as the same study."""
    import tomli_w

    values = study.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return tomli_w.dumps({"name": study.name, **values})


def json_schema() -> dict[str, Any]:
    """A JSON Schema of study files, for editors."""
    schema = Study.model_json_schema()
    training = Training.model_json_schema(ref_template="#/$defs/{model}")
    schema["$defs"].update(training.pop("$defs", {}))
    placeholder = {"type": "string", "pattern": r"\{\w+(\.\w+)?\}"}
    for definition in (training, schema["$defs"]["Optimizer"]):
        for key, value in definition["properties"].items():
            description = {k: value.pop(k) for k in ("description", "title", "default") if k in value}
            definition["properties"][key] = {"anyOf": [value, placeholder], **description}
    optimizer = {"$ref": "#/$defs/Optimizer"}
    names = schema["$defs"]["Optimizer"]["properties"]["name"]["anyOf"][0]
    training["properties"]["optimizer"] = {"anyOf": [names, optimizer, placeholder]}
    schema["$defs"]["Training"] = training
    base = Base.model_json_schema(ref_template="#/$defs/{model}")
    base["properties"].pop("network")
    schema["$defs"]["Base"] = base
    for owner in (schema["$defs"]["Network"], schema["$defs"]["ArmTemplate"]):
        owner["properties"]["base"] = {"anyOf": [{"$ref": "#/$defs/Base"}, placeholder, {"const": "none"}]}
    for owner in (schema, schema["$defs"]["ArmTemplate"]):
        owner["properties"]["training"] = {"$ref": "#/$defs/Training"}
    schema["properties"]["factors"]["additionalProperties"] = {
        "anyOf": [
            {"type": "array", "minItems": 1, "items": {"type": ["number", "string", "boolean"]}},
            {"type": "object", "minProperties": 1},
        ]
    }
    definitions = (schema, *schema["$defs"].values())
    for definition in (*definitions, *(form for one in definitions for form in one.get("anyOf", ()))):
        if "description" in definition:  # a docstring, whose examples are Python
            definition["description"] = definition["description"].partition("\n\nExample:")[0]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Assay study", **schema}
