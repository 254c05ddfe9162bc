"""Templates of study files, with the data, sizes and network that a user's images ask for."""

from __future__ import annotations

import os
import string
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..data import DatasetInfo, info_of, known
from ..errors import DataError, Problem, SpecError, nearest
from ..spec import Data, Reading

_LARGE, _SIDE = 96, 64  # images with longer sides than the first are read at the second
_FEW = 5_000  # training images below which an epoch is short


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
    except DataError as error:
        try:  # of several sizes, perhaps
            size = (_SIDE, _SIDE)
            info = _info(path, size)
        except DataError:
            raise error from None
    if size is None and max(info.height, info.width) > _LARGE:
        shrink = _SIDE / max(info.height, info.width)
        size = (max(8, round(info.height * shrink)), max(8, round(info.width * shrink)))
        info = _info(path, size)
    return DataAnswer(given, info, is_path=True, size=size, has_test=info.num_test > 0)


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
    is_few = data.info.num_training < _FEW
    return string.Template(file.read_text(encoding="utf-8")).substitute(
        name=name,
        question=template.question,
        data=_data_lines(data),
        blocks=_lines(_blocks(side), 2),
        blocks_without_norm=_lines(_blocks(side, norm=""), 2),
        blocks_with_width=_lines(_blocks(side, width="{width}"), 2),
        pool=" " if side < 8 else ' "maxpool 2", ',
        few_labels=_few_labels(data.info),
        crop=max(1, side // 10),
        epochs=40 if is_few else 10,
        batch_size=32 if is_few else 128,
    )


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
    if info.num_training < 140 * info.num_classes:
        return '# training = "20 per class"'.ljust(34) + "# where labels are few, a base is worth most"
    return 'training = "100 per class"'.ljust(34) + "# few labels, where a base is worth most; leave out to use all"


def _quoted(path: str) -> str:
    return '"' + path.replace(os.sep, "/").replace("\\", "\\\\").replace('"', '\\"') + '"'


def _blocks(side: int, *, norm: str = '"batchnorm", ', width: str = "") -> list[str]:
    """Convolutions and poolings as far as the image's shorter side allows."""
    filters = 16
    blocks: list[str] = []
    while side >= 8 and len(blocks) < 3:
        blocks.append(f'"conv {width or filters} 3x3 relu padding=same", {norm}"maxpool 2",')
        side, filters, width = side // 2, filters * 2, ""
    return blocks or [f'"conv {width or filters} 3x3 relu padding=same", {norm}'.rstrip(", ") + ","]


def _lines(texts: Sequence[str], indent: int) -> str:
    return "\n".join(" " * indent + text for text in texts)
