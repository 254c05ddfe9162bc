"""The `[data]` table that reads files: what they leave open is chosen, and everything that was in doubt is named."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, InputError, Problem, SpecError
from ..numerals import counted
from ..spec import Data, Last
from ..stats.moving_average import DEFAULT_MOMENTUM, LEAST_MOMENTUM, kept_share, kept_text, lower_momentum
from .prepare import Dataset, prepare
from .splits import num_learned

_FEW = 5_000  # training images below which an epoch is short
_MOST_KEPT = 0.001  # of start values of moving statistics: 2.7 % cost 3 to 43 points of accuracy, on 300 images
_MOST_QUESTIONS = 8  # each is a reading that stopped: data with more are asked about in turn


@dataclass(frozen=True)
class Proposal:
    """How files are read.

    Args:
        data: As it was given, with what is proposed.
        dataset: What is then read.
        questions: What the files leave open, in the order in which reading met it; empty where nothing is proposed.
    """

    data: Data
    dataset: Dataset
    questions: tuple[Problem, ...] = ()


def propose(data: Data) -> Proposal:
    """Prepares data, with a choice for each thing that files leave open and that a reader has a remedy for.

    Raises:
        SpecError, DataError: Something cannot be read whatever is chosen; what was in doubt before is named too.
        DiskFull: There is no space left for the memory maps.
    """
    questions: list[Problem] = []
    proposed: set[str] = set()
    while True:
        try:
            return Proposal(data, prepare(data), tuple(questions))
        except InputError as error:
            remedies = [_remedy(problem) for problem in error.problems]
            chosen = data
            for remedy in remedies:
                chosen = _with(chosen, remedy)
            if proposed & {problem.key for problem in error.problems}:  # a proposal that does not fit is none
                kind = DataError if isinstance(error, DataError) else SpecError
                raise kind(questions) from None
            proposed |= {f"data.read.{key}" for remedy in remedies for key in remedy.get("read", {})}
            if not all(remedies) or chosen == data or len(questions) + len(remedies) > _MOST_QUESTIONS:
                kind = DataError if isinstance(error, DataError) else SpecError
                raise kind([*error.problems, *questions]) from None
            questions += error.problems
            data = chosen


def _remedy(problem: Problem) -> Mapping[str, Any]:
    """The values that mend a problem: its own, or the `read` table that its fix spells out."""
    import tomllib

    match = re.search(r"read = (\{[^{}]*\})", problem.fix)
    if problem.remedy or match is None or '"..."' in match[1]:
        return problem.remedy
    try:
        return tomllib.loads(f"read = {match[1]}")
    except tomllib.TOMLDecodeError:  # such as size = [height, width]
        return {}


def _with(data: Data, remedy: Mapping[str, Any]) -> Data:
    """Data with values of a remedy put in; those of ``read`` one by one."""
    values = data.model_dump(exclude_defaults=True)
    read = {**values.get("read", {}), **remedy.get("read", {})}
    values = {**values, **remedy, **({"read": read} if read else {})}
    return Data.of(values)


def data_table(data: Data, folder: Path, *, is_test_there: bool = True, has_validation: bool = False) -> str:
    """The `[data]` table of a study file in a folder, ready to paste.

    Args:
        data: Files of one's own.
        folder: Where the study file stands: what lies in it is named relative to it.
        is_test_there: Where there is no test split, a comment shows how to draw one.
        has_validation: Where the source has a validation part of its own, a comment shows how to keep it.
    """
    values: dict[str, Any] = {}
    for key in ("path", "test"):
        value = getattr(data, key)
        if isinstance(value, str):
            values[key] = _relative(value, folder)
        elif isinstance(value, Last):
            share = value.last
            values[key] = f"last {100 * share:.10g}%" if isinstance(share, float) else f"last {share}"
        elif value is not None:
            values[key] = value
    if data.groups is not None:
        values["groups"] = data.groups.column or ("folder" if data.groups.folder else {"before": data.groups.before})
    read = {} if data.read is None else data.read.model_dump(exclude_defaults=True)
    if read:
        values["read"] = read
    if data.is_given:
        values["validation"] = "given"
    lines = ["[data]", *(f"{key} = {toml_value(value)}" for key, value in values.items())]
    if not is_test_there:
        lines.append("# test = 0.2  # without it there is no test split to reveal")
    if has_validation and not data.is_given:
        lines.append('# validation = "given"  # keeps the validation part as it is; else each seed draws its own')
    return "\n".join(lines) + "\n"


def show_command(data: Data) -> str:
    """The command that shows data of one's own as they are read with these values."""
    words = ["assay", "data", "show", _relative(data.path or "", Path.cwd())]
    if isinstance(data.test, Last):
        last = data.test.last
        words += ["--test", f"last {100 * last:.10g}%" if isinstance(last, float) else f"last {last}"]
    elif data.test is not None:
        words += ["--test", _relative(data.test, Path.cwd()) if isinstance(data.test, str) else str(data.test)]
    if data.groups is not None and data.groups.before is None:
        words += ["--groups", data.groups.column or "folder"]
    for key, value in ({} if data.read is None else data.read.model_dump(exclude_defaults=True)).items():
        option = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, tuple | list):
            words += [f"--{option}", ("x" if key in ("size", "shape") else ",").join(map(str, value))]
        else:
            words += [f"--{option}", str(value)]
    return shlex.join(words)


def command_to_write(path: Path) -> str | None:
    """The command that writes a study on files that leave something open; ``None`` if no values settle it."""
    try:
        return f"{show_command(propose(Data(path=str(path.absolute()))).data)} --write study.toml"
    except InputError:
        return None


def few_or_many(images: int) -> tuple[int, int]:
    """Epochs and batch size of a study to begin with: where images are few, an epoch is short."""
    return (40, 32) if images < _FEW else (10, 128)


def batchnorm_words(steps: int, period: str) -> tuple[str, str]:
    """The word for batch normalization of a study to begin with, and a comment on its momentum, if it needs one.

    Args:
        steps: Steps until it is first evaluated.
        period: What these are the steps of, such as ``"of training"``.
    """
    kept = kept_share(DEFAULT_MOMENTUM, steps)
    if kept <= _MOST_KEPT:
        return "batchnorm", ""
    momentum = lower_momentum(DEFAULT_MOMENTUM, steps, most=_MOST_KEPT) or LEAST_MOMENTUM
    note = (
        f"# momentum={momentum:g}: with the default, {DEFAULT_MOMENTUM:g}, batch normalization would keep "
        f"{kept_text(kept)} of its start values after the\n"
        f"# {counted(steps, 'step')} {period}, and validation scores could be too low.\n"
    )
    return f"batchnorm momentum={momentum:g}", note


def starting_study(data: Data, dataset: Dataset, folder: Path, questions: tuple[Problem, ...] = ()) -> str:
    """A study file on these data that runs: a small network, with and without dropout.

    Args:
        data: Files of one's own.
        dataset: What they hold.
        folder: Where the file will stand.
        questions: What the table answers by a proposal; each becomes a comment.
    """
    info = dataset.info
    comments = [f"# Proposed, check it: {' '.join(str(question).split())}" for question in questions]
    table = data_table(data, folder, is_test_there=bool(info.num_test), has_validation=has_validation(dataset))
    layers, side = [], min(info.height, info.width)
    epochs, batch_size = few_or_many(info.num_training)
    try:
        images = num_learned(data, info)
    except SpecError:  # too few to set any aside: the study itself says so
        images = info.num_training
    batchnorm, note = batchnorm_words(math.ceil(images / batch_size) * epochs, "of training")
    for filters in (32, 64, 128):
        if side < 4:
            break
        layers += [f"conv {filters} 3x3 relu padding=same", batchnorm, "maxpool 2"]
        side //= 2
    layers += ["flatten", "dropout {dropout}", "dense 64 relu", "dense classes softmax"]
    lines = [
        'question = "Does dropout help a small network on these images?"',
        "",
        *comments,
        table.rstrip(),
        "",
        *note.splitlines(),
        "[network]",
        "layers = [",
        *(f'  "{layer}",' for layer in layers),
        "]",
        "",
        "[factors]",
        "dropout = [0.0, 0.5]",
        "",
        "[training]",
        f"epochs = {epochs}",
        f"batch_size = {batch_size}",
        "",
        "[seeds]",
        "count = 10",
    ]
    return "\n".join(lines) + "\n"


def has_validation(dataset: Dataset) -> bool:
    """Whether the source has a validation part that counts as training images."""
    from .readers.content import is_validation_note

    return any(map(is_validation_note, dataset.info.notes))


def toml_value(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, str):
        import tomli_w

        return tomli_w.dumps({"value": value}).partition("=")[2].strip()
    return repr(value)


def _relative(place: str, folder: Path) -> str:
    """A path as a file in a folder names it: relative where it lies below, else absolute."""
    if "://" in place:
        return place
    path, folder = Path(os.path.abspath(place)), Path(os.path.abspath(folder))
    if path == folder:
        return "."
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
