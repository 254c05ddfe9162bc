"""Keras models in files converted to a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, Problem, SpecError
from ..spec import Study


@dataclass(frozen=True)
class ConvertedModel:
    """A model of a converted file.

    Args:
        name: The variable that held it, or the file's name.
        lines: Its layers as words.
        shape: Height, width and channels of an image, where the file says them.
        parameters: Trainable or not, where the shape is known.
    """

    name: str
    lines: tuple[str, ...]
    shape: tuple[int, int, int] | None
    parameters: int | None


@dataclass(frozen=True)
class Conversion:
    """What a file was converted to.

    Args:
        models: Its Sequential models.
        study: A study with an arm for each.
        notes: What the study has elsewhere than in its layers, and what is left to fill in, a sentence each.
    """

    models: tuple[ConvertedModel, ...]
    study: Study
    notes: tuple[str, ...]


def convert_file(path: Path) -> Conversion:
    """The Sequential models in a notebook, a script or a ``.keras`` file; nothing in it is run.

    Raises:
        DataError: The file cannot be read, or is damaged.
        SpecError: It holds no Sequential model, or one with a layer that has no words here.
    """
    from . import read_keras, read_source, study_of

    suffix = path.suffix.lower()
    if suffix == ".keras":
        imported = read_keras(path)
        lines = tuple(map(str, imported.network.layers))
        model = ConvertedModel(
            path.stem, lines, imported.shape, _parameters(lines, imported.shape, imported.num_classes, path)
        )
        study, left = study_of([(model.name, lines)], path)
        return Conversion((model,), study, (*imported.notes, *left))
    if suffix not in (".py", ".ipynb"):
        fix = "give a notebook (.ipynb), a script (.py) or a model saved by Keras 3 (.keras)"
        raise DataError(Problem(f'got a file that ends in "{suffix}"', fix, file=str(path)))
    source = read_source(path)
    models = tuple(
        ConvertedModel(
            one.name,
            one.converted.lines,
            one.converted.shape,
            _parameters(one.converted.lines, one.converted.shape, one.converted.num_classes, path, one.line),
        )
        for one in source.models
    )
    study, left = study_of([(one.name, one.lines) for one in models], path, data=source.data, training=source.training)
    notes = [note for one in source.models for note in one.converted.notes]
    return Conversion(models, study, (*dict.fromkeys((*notes, *source.notes)), *left))


def _parameters(
    lines: tuple[str, ...],
    shape: tuple[int, int, int] | None,
    num_classes: int | None,
    path: Path,
    line: int | None = None,
) -> int | None:
    """How many parameters the network has; ``None`` where its input is not known."""
    from ..nets import parse, summarize

    try:
        nodes = parse(lines)
        return None if shape is None or num_classes is None else summarize(nodes, shape, num_classes).parameters
    except SpecError as error:
        raise SpecError([problem.at(file=str(path), line=line) for problem in error.problems]) from None
