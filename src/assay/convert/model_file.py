"""Keras models in ``.keras`` and ``.h5`` files: layer words, weights, and how they were compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DataError, Problem, SpecError
from .compiled import compiled_settings
from .dataset import Source
from .draft import Draft, assemble
from .graph import Graph
from .h5_file import H5File
from .keras_file import KerasFile
from .network import Words, words_of
from .serialized import graph_of_config, policy_of
from .serialized_compile import compiled_of_config
from .weights import Imported, imported

SUFFIXES = (".keras", ".h5", ".hdf5")
PLACE = "your-images"


def read_keras(path: Path) -> Imported:
    """The model in a ``.keras`` or ``.h5`` file. Custom classes and functions are refused by name.

    Raises:
        DataError: The file cannot be read, is damaged, or is built to harm.
        SpecError: It has layers without words here, or paths that no block can express.
    """
    content = _content(path)
    graph, words = _words(content, path)
    with content.weights() as weights:
        return imported(words, graph.shape, lambda source, shapes: content.layer(weights, source, shapes))


def draft_of(path: Path) -> Draft:
    """The model in a ``.keras`` or ``.h5`` file as a study in the making, with the optimizer that it was compiled with.

    Raises:
        DataError, SpecError: As in ``read_keras``.
    """
    content = _content(path)
    graph, words = _words(content, path)
    file = path.name
    draft = Draft(path.stem, file)
    compiled = compiled_of_config(content.compiled, file=file, policy=policy_of(content.config))
    training: dict[str, Any] = {}
    notes: list[str] = []
    if compiled is None:
        notes.append(f"{file}: the model is not compiled; adam and cross-entropy are written.")
    else:
        settings, schedule = compiled
        training, notes = compiled_settings(settings, words)
        training |= {"schedule": schedule} if schedule else {}
    notes.append(f"{file}: a saved model has no epochs and no batch size; Assay's own stand for them.")
    front = words.front
    if not front.rescales and not front.is_normalized and words.base is None:
        notes.append(f"{file}: it does not say how its images were scaled; here pixels are 0 to 1 ([data] scaling).")
    scaling = "none" if front.rescales or words.base is not None else "unit"
    image = imported(words, graph.shape, None)
    source = Source({"path": PLACE}, shape=image.shape, scaling=scaling)
    assemble(draft, words, source, training, notes, file)
    draft.parameters = None
    if image.shape is not None and image.num_classes is not None and words.base is None:
        draft.parameters = image.summary().parameters
    return draft


def _content(path: Path) -> KerasFile | H5File:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        fix = "give a model that Keras saved (.keras, .h5)"
        raise DataError(Problem(f'got a file that ends in "{path.suffix}"', fix, file=str(path)))
    return KerasFile(path) if suffix == ".keras" else H5File(path)


def _words(content: KerasFile | H5File, path: Path) -> tuple[Graph, Words]:
    graph = graph_of_config(content.config, file=str(path), is_h5=content.is_h5)
    try:
        return graph, words_of(graph)
    except SpecError as error:
        raise SpecError([problem.at(file=str(path)) for problem in error.problems]) from None
    except (TypeError, KeyError, ValueError, AttributeError, ArithmeticError):
        what = "a setting of one of its layers is none that Keras writes"
        raise SpecError(Problem(what, "save the model again with model.save(...)", file=str(path))) from None
