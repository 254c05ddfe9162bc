"""Templates of study files, with the data, sizes and network that a user's images ask for."""

from __future__ import annotations

import math
import os
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from ..data import DatasetInfo, batchnorm_words, command_to_write, few_or_many, info_of, known
from ..errors import InputError, Problem, SpecError, nearest
from ..spec import Data, Reading

_LARGE, _SIDE = 96, 64  # images with longer sides than the first are read at the second
_TRANSFER = (10, 64)  # epochs and batch size of its template


@dataclass(frozen=True)
class Template:
    """A kind of study.

    Args:
        name: As ``--template`` takes it.
        title: What it is for, in a few words.
        question: What its study asks.
    """

    name: str
    title: str
    question: str


TEMPLATES = {
    template.name: template
    for template in (
        Template("ablation", "which parts of a network matter: each is left out in turn", "Which part of it matters?"),
        Template("grid", "settings crossed: every combination is trained", "Do width and dropout matter?"),
        Template(
            "search", "the best network within a budget of parameters", "Which network is best within the budget?"
        ),
        Template(
            "transfer", "what a pretrained base is worth", "Is a pretrained base better than training from scratch?"
        ),
        Template("own-images", "a folder or file of your own images", "Does augmentation help on these images?"),
    )
}


@dataclass(frozen=True)
class DataAnswer:
    """The images that a study is to be about.

    Args:
        given: A registered name, or a file or folder.
        info: What is known of them.
        is_path: Whether they are the user's own.
        size: Height and width to read them at, where they are larger or of several sizes.
        has_test: Whether they have a test split of their own.
    """

    given: str
    info: DatasetInfo
    is_path: bool
    size: tuple[int, int] | None = None
    has_test: bool = True


def data_answer(given: str) -> DataAnswer:
    """What a name or a path stands for.

    Raises:
        SpecError: It is neither a data set's name nor a file or folder.
        DataError: The files cannot be read as images.
    """
    if given in known():
        return DataAnswer(given, info_of(Data(name=given)), is_path=False)
    path = Path(given).expanduser()
    if not path.exists():
        fix = f"{nearest(given, known())}, or give the path of a folder or file of images"
        raise SpecError(Problem(f'"{given}" is no known data set and no file or folder', fix, "data"))
    size: tuple[int, int] | None = None
    try:
        info = _info(path, None)
    except InputError as error:
        try:  # of several sizes, perhaps
            size = (_SIDE, _SIDE)
            info = _info(path, size)
        except InputError:
            raise _with_command(error, path) from None
    if size is None and max(info.height, info.width) > _LARGE:
        shrink = _SIDE / max(info.height, info.width)
        size = (max(8, round(info.height * shrink)), max(8, round(info.width * shrink)))
        info = _info(path, size)
    return DataAnswer(given, info, is_path=True, size=size, has_test=info.num_test > 0)


def _with_command(error: InputError, path: Path) -> InputError:
    """The error, with the command that writes a study on such files, if there is one."""
    command = command_to_write(path)
    if command is None:
        return error
    fix = f"write a study that reads them with `{command}`"
    return type(error)(replace(problem, fix=fix) for problem in error.problems)


def _info(path: Path, size: tuple[int, int] | None) -> DatasetInfo:
    return info_of(Data(path=str(path.absolute()), read=Reading(size=size) if size is not None else None))


def study_text(template: Template, data: DataAnswer, name: str) -> str:
    """A study file, with comments.

    Args:
        template: The kind of study.
        data: Its images.
        name: Its name, which is the file's too.

    Raises:
        SpecError: The template is for images of one's own, and the data are registered ones.
    """
    if template.name == "own-images" and not data.is_path:
        what = f'template "own-images" is for a folder or file of your own, and "{data.given}" is a known data set'
        raise SpecError(Problem(what, "give a path as data, or choose another template", "data"))
    file = resources.files("assay.starting") / f"{template.name}.toml"
    side = min(data.info.height, data.info.width)
    epochs, batch_size = few_or_many(data.info.num_training)
    batchnorm, note = _batchnorm(template, data, epochs, batch_size)
    norm = f'"{batchnorm}", '
    return string.Template(file.read_text(encoding="utf-8")).substitute(
        name=name,
        question=template.question,
        data=_data_lines(data),
        blocks=_lines(_blocks(side, norm), 2),
        blocks_without_norm=_lines(_blocks(side, ""), 2),
        blocks_with_width=_lines(_blocks(side, norm, width="{width}"), 2),
        batchnorm=batchnorm,
        momentum_note=note,
        pool=" " if side < 8 else ' "maxpool 2", ',
        few_labels=_few_labels(data.info),
        crop=max(1, side // 10),
        epochs=epochs,
        batch_size=batch_size,
    )


def _batchnorm(template: Template, data: DataAnswer, epochs: int, batch_size: int) -> tuple[str, str]:
    """The word for batch normalization, and the comment that says why it has a momentum of its own."""
    images = data.info.num_training * (1.0 if data.has_test else 0.8) * (0.8 if data.is_path else 0.9)
    if template.name == "transfer":
        epochs, batch_size = _TRANSFER
        if _has_many_labels(data.info):
            images = 100 * data.info.num_classes
    is_search = template.name == "search"  # whose candidates are compared after one epoch already
    steps = math.ceil(images / batch_size) * (1 if is_search else epochs)
    return batchnorm_words(steps, "of a first rung" if is_search else "of training")


def _data_lines(data: DataAnswer) -> str:
    """``[data]``: where the images come from and how they are divided."""
    if not data.is_path:
        return "\n".join(
            [
                "[data]",
                f'name = "{data.given}"'.ljust(34) + f"# {data.info.title}: `assay data list` shows all",
                "validation = 0.1".ljust(34) + "# a share, drawn anew by every seed; arms are compared on it",
            ]
        )
    lines = [
        "[data]",
        f"path = {_quoted(data.given)}".ljust(34) + "# relative to this file; `assay data show` looks at it",
        "validation = 0.2".ljust(34) + "# a share, drawn anew by every seed; arms are compared on it",
    ]
    if not data.has_test:
        lines.append("test = 0.2".ljust(34) + "# a share of each class, sealed until `assay reveal`")
    lines.append('# groups = { before = "_" }'.ljust(34) + "# if images belong together, so that no split divides them")
    if data.size is not None:
        height, width = data.size
        lines += [
            "",
            "[data.read]",
            f"size = [{height}, {width}]".ljust(34) + "# all images are resized to this height and width",
            '# fit = "pad"'.ljust(34) + "# keep proportions; unless given they are stretched",
        ]
    return "\n".join(lines)


def _few_labels(info: DatasetInfo) -> str:
    """A line that keeps 100 images a class, where there are clearly more."""
    if not _has_many_labels(info):
        return '# training = "20 per class"'.ljust(34) + "# where labels are few, a base is worth most"
    return 'training = "100 per class"'.ljust(34) + "# few labels, where a base is worth most; leave out to use all"


def _has_many_labels(info: DatasetInfo) -> bool:
    return info.num_training >= 140 * info.num_classes


def _quoted(path: str) -> str:
    return '"' + path.replace(os.sep, "/").replace("\\", "\\\\").replace('"', '\\"') + '"'


def _blocks(side: int, norm: str, *, width: str = "") -> list[str]:
    """Convolutions and poolings as far as the image's shorter side allows."""
    filters = 16
    blocks: list[str] = []
    while side >= 8 and len(blocks) < 3:
        blocks.append(f'"conv {width or filters} 3x3 relu padding=same", {norm}"maxpool 2",')
        side, filters, width = side // 2, filters * 2, ""
    return blocks or [f'"conv {width or filters} 3x3 relu padding=same", {norm}'.rstrip(", ") + ","]


def _lines(texts: Sequence[str], indent: int) -> str:
    return "\n".join(" " * indent + text for text in texts)
