"""Converts a script or notebook by running it: its models as study files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..convert.code import placed, read_code
from ..convert.conversion import ConvertedModel, model_of
from ..convert.source import pytorch_problem
from ..convert.study import plain_name, study_values
from ..disk import replacing, write
from ..errors import DataError, Problem, SpecError
from ..spec import Study
from ..spec.files import study_toml
from .isolated.process import MEMORY, SECONDS, run_apart


@dataclass(frozen=True)
class RunStudy:
    """A study that a file's run gave.

    Args:
        study: With an arm for each model that has the same data.
        arrays: The file of images and labels that belongs beside the study file; ``None`` where the data have a name
            or a folder.
    """

    study: Study
    arrays: Path | None


@dataclass(frozen=True)
class RunConversion:
    """What running a file gave.

    Args:
        models: The models that it made, with their layers.
        studies: One for each data set.
        notes: What was left out or is otherwise here, a sentence each, with its place.
    """

    models: tuple[ConvertedModel, ...]
    studies: tuple[RunStudy, ...]
    notes: tuple[str, ...]

    def write(self, output: Path) -> list[Path]:
        """Writes the study files, and arrays beside them. The second is called ``NAME-2.toml``, and so on.

        Raises:
            DataError, DiskFull: A file cannot be written.
        """
        paths = []
        for number, one in enumerate(self.studies, start=1):
            path = output if number == 1 else output.with_name(f"{output.stem}-{number}{output.suffix}")
            if one.arrays is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(one.arrays, "rb") as source, replacing(path.with_name(one.arrays.name)) as target:
                    shutil.copyfileobj(source, target)
            write(path, study_toml(_beside(one.study, path.absolute().parent)).encode())
            paths.append(path)
        return paths


def _beside(study: Study, folder: Path) -> Study:
    """The study with paths into its file's folder relative to it, so that both can be moved together."""
    given = {name: getattr(study.data, name) for name in ("path", "test")}
    inside = {
        name: Path(value).relative_to(folder).as_posix()
        for name, value in given.items()
        if isinstance(value, str) and Path(value).is_relative_to(folder)
    }
    return study.model_copy(update={"data": study.data.model_copy(update=inside)}) if inside else study


def convert_by_running(path: Path, folder: Path, *, seconds: float = SECONDS, memory: int = MEMORY) -> RunConversion:
    """The models that a script or notebook makes when it is run, as studies.

    It runs the file's code, in a process of its own: see ``isolated.process.run_apart``.

    Args:
        path: A ``.py`` or ``.ipynb`` file.
        folder: Where arrays are put; they stay there.
        seconds: How long its code may take.
        memory: Bytes that it may use.

    Raises:
        DataError: The file cannot be read.
        SpecError: It gave no study: what it lacks, and why each of its models cannot be one.
    """
    if path.suffix.lower() not in (".py", ".ipynb"):
        fix = "give a notebook (.ipynb) or a script (.py); other files are read without --run"
        raise DataError(Problem(f'got a file that ends in "{path.suffix}"', fix, file=str(path)))
    if not path.is_file():
        raise DataError(Problem("there is no such file", "check the path", file=str(path)))
    with tempfile.TemporaryDirectory(prefix="assay-run-") as scratch:
        values = run_apart(path, Path(scratch), seconds=seconds, memory=memory)
        notes = [*values["missing"], *values["notes"]]
        drafts = [draft for draft in values["drafts"] if draft["values"]]
        problems = [Problem(**problem) for draft in values["drafts"] for problem in draft["problems"]]
        if not drafts:
            raise SpecError(_reasons(path, values, problems))
        notes += [
            f"{draft['name']}: {note}" if len(drafts) > 1 else note for draft in drafts for note in draft["notes"]
        ]
        notes += [f"A model is left out: {problem}" for problem in problems]
        studies = _studies(path, drafts, Path(scratch), folder)
    models = tuple(model_of(draft["name"], draft["values"], draft["parameters"]) for draft in drafts)
    return RunConversion(models, studies, tuple(dict.fromkeys(notes)))


def _reasons(path: Path, values: Mapping[str, Any], problems: Sequence[Problem]) -> list[Problem]:
    """Why there is no study: what is missing comes first, as the rest follows from it."""
    file = str(path)
    reasons = [placed(Problem(sentence.rstrip(".")), file) for sentence in values["missing"]]
    reasons += [placed(problem, file) for problem in problems]
    if not problems:
        if (torch := pytorch_problem(path, read_code(path))) is not None:
            return [*reasons, torch]
        what = "it compiles and fits no Keras model"
        reasons.append(Problem(what, "give a file that trains one", file=file))
        reasons += [placed(Problem(note.rstrip(".")), file) for note in values["notes"]]
    return reasons


def _studies(path: Path, drafts: Sequence[Mapping[str, Any]], scratch: Path, folder: Path) -> tuple[RunStudy, ...]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for draft in drafts:
        key = json.dumps([draft["values"]["data"], draft["values"].get("search")], sort_keys=True)
        if draft["arrays"]:
            key += _digest(scratch / draft["arrays"])
        groups.setdefault(key, []).append(draft)
    studies = []
    stem = plain_name(path.stem) or "converted"
    for number, group in enumerate(groups.values(), start=1):
        name = stem if number == 1 else f"{stem}-{number}"
        values = study_values(path, name, [(draft["name"], draft["values"]) for draft in group])
        arrays = None
        if group[0]["arrays"]:
            arrays = folder / f"{name}-data.npz"
            shutil.move(scratch / group[0]["arrays"], arrays)
            values["data"] = {**values["data"], "path": arrays.name}
        studies.append(RunStudy(Study.of(values), arrays))
    return tuple(studies)


def _digest(path: Path) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
