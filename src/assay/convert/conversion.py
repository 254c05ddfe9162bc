"""Keras models in files converted to a study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, Problem, SpecError
from ..spec import Study
from .draft import Draft
from .model_file import PLACE, SUFFIXES, draft_of
from .study import plain_name, study_values


@dataclass(frozen=True)
class ConvertedModel:
    """A model of a converted file.

    Args:
        name: The variable that held it, or the file's name.
        lines: Its layers as words.
        parameters: Trainable or not, where the input's shape is known.
    """

    name: str
    lines: tuple[str, ...]
    parameters: int | None


@dataclass(frozen=True)
class Conversion:
    """What a file was converted to.

    Args:
        models: Its models.
        study: A study with an arm for each.
        notes: What is otherwise in the study, and what is left to fill in, a sentence each.
    """

    models: tuple[ConvertedModel, ...]
    study: Study
    notes: tuple[str, ...]


def convert_file(path: Path) -> Conversion:
    """The models in a notebook, a script, a ``.keras`` or an ``.h5`` file; nothing in it is run.

    Raises:
        DataError: The file cannot be read, or is damaged.
        SpecError: It holds no model that is read without running it, or one with a layer that has no words here.
    """
    from .source import read_source

    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, ".py", ".ipynb"):
        fix = "give a notebook (.ipynb), a script (.py) or a model that Keras saved (.keras, .h5)"
        raise DataError(Problem(f'got a file that ends in "{suffix}"', fix, file=str(path)))
    drafts = [draft_of(path)] if suffix in SUFFIXES else read_source(path)
    _refuse_different_data(drafts, path)
    name = plain_name(path.stem) or "converted"
    study = Study.of(study_values(path, name, [(draft.name, draft.values) for draft in drafts]))
    notes = [f"{draft.name}: {note}" if len(drafts) > 1 else note for draft in drafts for note in draft.notes]
    if study.data.path == PLACE:
        word = 'name = "mnist", or path to images of yours'
        notes.append(f'Say which data it is for: [data] {word} in place of "{PLACE}".')
    models = tuple(model_of(draft.name, draft.values, draft.parameters) for draft in drafts)
    return Conversion(models, study, tuple(dict.fromkeys(notes)))


def model_of(name: str, values: dict[str, Any], parameters: int | None) -> ConvertedModel:
    """A model's name, lines and size from a draft's values."""
    lines = tuple(line if isinstance(line, str) else json.dumps(line) for line in values["network"]["layers"])
    return ConvertedModel(name, lines, parameters)


def _refuse_different_data(drafts: Sequence[Draft], path: Path) -> None:
    if any(draft.values["data"] != drafts[0].values["data"] for draft in drafts):
        what = "its models learn from different data, and a study has one"
        fix = f"`assay convert --run {path}` writes a study for each"
        raise SpecError(Problem(what, fix, file=str(path)))
