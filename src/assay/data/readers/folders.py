"""Reads trees of image files with a folder for each class: in a folder, a zip or a tar."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...disk import disk_errors
from ...errors import DataError, Problem
from ...numerals import counted
from ...spec import Groups, Reading
from .arrays import joined
from .content import Part, RawSplits, validation_note
from .labels import shown, texts_to_labels
from .name_patterns import proposal
from .pictures import SUFFIXES, decode
from .pixels import NO_VOLUMES
from .placeholders import refuse_absent
from .sides import Arrangement, arrangement, is_plain, side_of
from .trees import Name, Tree, tree_of

VOLUMES = (".nii", ".nii.gz", ".dcm", ".dicom", ".mha", ".mhd", ".nrrd", ".ima")
_DATA_FILES = (".csv", ".tsv", ".amat", ".npy", ".npz", ".parquet")
_ANNOTATIONS = (".txt", ".csv", ".tsv")


def read_tree(path: Path, reading: Reading, groups: Groups | None = None) -> RawSplits:
    """Images below folders named after their classes, whatever lies between.

    Folders at the top that are called as splits are (``train``, ``seg_test``, ``validation-set``) are the splits.
    Validation images count as training images unless a study takes them as they are given.

    Raises:
        DataError: A class folder is empty, there are fewer than two classes, a file is no image, sizes are mixed, or
            folders look like splits and none is the training split.
    """
    notes: list[str] = []
    whole = tree_of(path)
    if whole.absent and not reading.skip_bad:
        refuse_absent(whole.absent, whole.place)
    if whole.absent:
        notes.append(
            f"{counted(len(whole.absent), 'file is', 'files are')} in a cloud alone and "
            f"{'is' if len(whole.absent) == 1 else 'are'} left out."
        )
    tree, found = _arranged(whole, notes)
    names, folders = tree.names(), tree.folders()
    loose = [name for name in names if len(name) == 1]
    volumes = [name for name in names if name[-1].lower().endswith(VOLUMES)]
    if volumes and 2 * len(volumes) > len(names):
        what = f"it holds {len(volumes):,} volumes or medical slices, such as {volumes[0][-1]}"
        raise DataError(Problem(what, f"export slices as PNG: {NO_VOLUMES}", file=tree.place))
    _refuse_boxes(tree.place, names)
    if not folders:
        _refuse_other_contents(tree, [name[0] for name in loose])
    if loose:
        notes.append(
            f"{counted(len(loose), 'file')} beside the folders {'is' if len(loose) == 1 else 'are'} "
            f"left out ({shown([name[0] for name in loose])})."
        )
    sides = {side: _Side(top, names, folders) for side, top in found.splits.items()}
    if "train" not in sides:  # class folders at the top, perhaps with a test split beside them
        apart = set(found.splits.values())
        kept_names, kept_folders = ([name for name in some if name[0] not in apart] for some in (names, folders))
        sides["train"] = _Side(None, kept_names, kept_folders)
    elif found.left_out:
        count = sum(name[0] in found.left_out for name in names)
        notes.append(f"Folders beside the splits are left out: {shown(found.left_out)} ({counted(count, 'file')}).")
    notes += [f"The folder {name} counts as a class, not as a split." for name in found.classes]
    training = _read_side(tree, sides["train"], reading, groups, notes)
    parts = {}
    for kind in ("val", "test"):
        if kind in sides:
            sides[kind].unwrap(sides["train"].classes)
            parts[kind] = _read_held_out(tree, sides[kind], sides["train"].classes, kind, reading, groups, notes)
    if (validation := parts.get("val")) is not None:
        training = joined(training, validation)
        notes.append(validation_note(f"The images of {found.splits['val']}"))
    return RawSplits(training, parts.get("test"), None, tuple(dict.fromkeys(notes)), (str(path),))


def _refuse_boxes(place: str, names: Sequence[Name]) -> None:
    """Refuses folders of images with a folder of outlines beside them, as sets for object detection have."""
    of_images, of_boxes = (
        {
            name[:-2]
            for name in names
            if len(name) > 1 and name[-2].lower() in wanted and name[-1].lower().endswith(endings)
        }
        for wanted, endings in ((("images", "jpegimages"), SUFFIXES), (("labels", "annotations"), (".txt", ".xml")))
    )
    if of_images & of_boxes:
        what = "beside its images lie files of boxes or outlines (object detection)"
        raise DataError(Problem(what, "give a folder for each class, or a table of file names and labels", file=place))


def _refuse_other_contents(tree: Tree, names: Sequence[str]) -> None:
    """Refuses a folder or an archive without folders, with a remedy for what lies there."""
    tables = [name for name in names if name.lower().endswith(_DATA_FILES)]
    if tables:
        what = f"it holds {shown(tables)}, and no folders of images"
        raise DataError(Problem(what, "unpack it, and name the folder or one of them as data.path", file=tree.place))
    images = [name for name in names if name.lower().endswith(SUFFIXES)]
    _refuse_loose(images, tree.place)


def _refuse_loose(images: Sequence[str], place: str) -> None:
    """Refuses images in no class folders, with a pattern where their names may hold labels."""
    if images and (fix := proposal(images)) is not None:
        raise DataError(Problem(f"it holds {len(images):,} images, and no class folders for them", fix, file=place))


def _arranged(tree: Tree, notes: list[str]) -> tuple[Tree, Arrangement]:
    """The tree below folders that wrap everything, such as an archive's only one, and which of its folders are splits.

    Raises:
        DataError: Folders look like splits, and none is the training split.
    """
    while True:
        below: dict[str, set[str]] = {}
        for name in tree.folders():
            below.setdefault(name[0], set()).update(name[1:2])
        (top, inner), *more = below.items() or [("", set())]
        if more or not inner or is_plain(top):
            found = arrangement({top: frozenset(its) for top, its in below.items()})
            if found.question is not None:
                remedy = {key: f"{tree.place}/{folder}" for key, folder in found.proposed.items()}
                is_folder = Path(tree.place).is_dir()
                raise DataError(Problem(*found.question, file=tree.place, remedy=remedy if is_folder else {}))
            return tree, found
        if side_of(top) in ("val", "test", "eval", "fold"):
            notes.append(f"The only folder, {top}, is the training split, whatever it is called.")
        tree = Below(tree, top)


class Below(Tree):
    """A tree's files below one of its folders."""

    def __init__(self, tree: Tree, top: str) -> None:
        self._tree = tree
        self._top = top
        self.place = f"{tree.place}/{top}"

    def names(self) -> list[Name]:
        return [name[1:] for name in self._tree.names() if name[0] == self._top and len(name) > 1]

    def folders(self) -> list[Name]:
        return [name[1:] for name in self._tree.folders() if name[0] == self._top and len(name) > 1]

    def contents(self, names: Sequence[Name]) -> Iterator[tuple[int, bytes]]:
        return self._tree.contents([(self._top, *name) for name in names])


class _Side:
    """The class folders of one split.

    Args:
        top: The split's folder; ``None`` where class folders stand at the top.
        names, folders: Of the whole tree.
    """

    def __init__(self, top: str | None, names: Sequence[Name], folders: Sequence[Name]) -> None:
        self.top = top
        self.prefix: Name = () if top is None else (top,)
        depth = len(self.prefix)
        self._names = [name for name in names if name[:depth] == self.prefix]
        self._folders = [name for name in folders if name[:depth] == self.prefix and len(name) > depth]

    @property
    def classes(self) -> list[str]:
        depth = len(self.prefix)
        return sorted({name[depth] for name in self._folders if name[:depth] == self.prefix and len(name) > depth})

    @property
    def files(self) -> list[Name]:
        """The files in class folders."""
        depth = len(self.prefix)
        return [name for name in self._names if name[:depth] == self.prefix and len(name) > depth + 1]

    @property
    def loose(self) -> list[Name]:
        """The files beside class folders, and beside what wraps those."""
        inside = set(self.files)
        return [name for name in self._names if name not in inside and len(name) > 1]

    def unwrap(self, known: Sequence[str] = ()) -> None:
        """Goes down while there is a single folder, no known class, that holds folders: ``Final_Test/Images/cat``."""
        while self.top is not None and len(self.classes) == 1 and self.classes[0] not in known:
            below = (*self.prefix, self.classes[0])
            if not any(len(name) > len(below) and name[: len(below)] == below for name in self._folders):
                return
            self.prefix = below


def _read_side(
    tree: Tree,
    side: _Side,
    reading: Reading,
    groups: Groups | None,
    notes: list[str],
    *,
    is_training: bool = True,
) -> Part:
    if is_training:
        side.unwrap()
    depth, files, classes = len(side.prefix), side.files, side.classes
    place = "/".join((tree.place, *side.prefix))
    filled = {name[depth] for name in files}
    empty = [name for name in classes if name not in filled]
    if empty:
        what = f"the class folder {shown(empty)} holds no images"
        raise DataError(Problem(what, "fill or remove it", file=place))
    if len(classes) < 2 and is_training:
        _refuse_loose([name[-1] for name in (*side.loose, *files) if name[-1].lower().endswith(SUFFIXES)], place)
    if len(classes) < (2 if is_training else 1):
        what = f"it holds {'one class folder, ' + classes[0] if classes else 'no class folders'}"
        raise DataError(Problem(what, "put the images into a folder for each class, at least 2", file=place))
    if side.top is not None and side.loose:
        names = shown([name[-1] for name in side.loose])
        notes.append(
            f"In {side.top}: {counted(len(side.loose), 'file')} beside the class folders "
            f"{'is' if len(side.loose) == 1 else 'are'} left out ({names})."
        )
    if is_training and not (groups is not None and groups.folder):
        notes += _hierarchy_notes(files, depth)
    images, kept, more = decode(lambda: tree.contents(files), ["/".join(name) for name in files], reading, place)
    notes += more if side.top is None else [f"In {side.top}: {note}" for note in more]
    labels = texts_to_labels([files[index][depth] for index in kept])
    file_groups = None
    if groups is not None:
        try:
            file_groups = name_groups([files[index][depth + 1 :] for index in kept], groups, place)
        except DataError:
            if is_training or side_of(side.top or "") == "val":  # test images need none
                raise
    return Part(images, labels, place, file_groups, names=tuple("/".join(files[index]) for index in kept))


def _hierarchy_notes(files: Sequence[Name], depth: int) -> Iterator[str]:
    """What to say where class folders hold several folders each, whose names count for nothing."""
    inner: dict[str, set[str]] = {}
    for name in files:
        inner.setdefault(name[depth], set()).update(name[depth + 1 : -1][:1])
    if any(len(names) > 1 for names in inner.values()):
        pairs = [f"{top}/{name}" for top in sorted(inner) for name in sorted(inner[top])]
        yield (
            f"The classes are the {len(inner):,} upper folders; the {len(pairs):,} folders within them "
            f"({shown(pairs)}) are not told apart."
        )
        first, *rest = inner.values()
        if len(first) > 1 and rest and all(names == first for names in rest):
            yield f"Every class folder holds the same folders ({shown(sorted(first))}): are those the classes?"


def _read_held_out(
    tree: Tree,
    side: _Side,
    classes: Sequence[str],
    kind: str,
    reading: Reading,
    groups: Groups | None,
    notes: list[str],
) -> Part | None:
    """Validation or test images: in class folders of the training split, or all in one with a table of labels.

    Test images without labels are a part without; validation images without are left out, and a note says so.

    Raises:
        DataError: As in ``read_tree``, or validation images have a class that the training split lacks.
    """
    place = "/".join((tree.place, *side.prefix))
    strange = [name for name in side.classes if name not in classes]
    if len(side.classes) > 1 or (side.classes and not strange):
        if kind == "val" and strange:
            what = f"it holds the class folder {shown(strange)}, which the training split lacks"
            raise DataError(Problem(what, "rename or remove it, or add training images of it", file=place))
        return _read_side(tree, side, reading, groups, notes, is_training=False)
    files = [name for name in (*side.files, *side.loose) if name[-1].lower().endswith(SUFFIXES)]
    if not files:
        what = "the class folder " + shown(strange) if strange else "it"
        raise DataError(Problem(f"{what} holds no images", "fill or remove it", file=place))
    labels = _annotations(tree, side, [name[-1] for name in files], classes, notes)
    if labels is None and kind == "val":
        what = f"{len(files):,} validation images are left out"
        notes.append(f"{side.top}: {what}, because no class folder and no table gives their labels.")
        return None
    images, kept, more = decode(lambda: tree.contents(files), ["/".join(name) for name in files], reading, place)
    notes += [f"In {side.top}: {note}" for note in more]
    file_groups = None
    if groups is not None and kind == "val":
        file_groups = name_groups([files[index][-1:] for index in kept], groups, place)
    numbers = None if labels is None else texts_to_labels([labels[index] for index in kept])
    return Part(images, numbers, place, file_groups, names=tuple("/".join(files[index]) for index in kept))


def _annotations(
    tree: Tree, side: _Side, files: Sequence[str], classes: Sequence[str], notes: list[str]
) -> list[str] | None:
    """The label of each file from a table beside them, such as Tiny ImageNet's ``val_annotations.txt``.

    A row begins with a file's name and its class; what follows, such as a box, is left out.
    """
    tables = [name for name in side.loose if name[-1].lower().endswith(_ANNOTATIONS)]
    for index, content in tree.contents(tables):
        text = content.decode("utf-8-sig", "replace")
        mark = next((mark for mark in ("\t", ";", ",") if mark in text.partition("\n")[0]), " ")
        try:
            rows = [row for row in csv.reader(io.StringIO(text), delimiter=mark) if len(row) > 1]
        except csv.Error:
            continue
        labels = {row[0].strip().replace("\\", "/").rpartition("/")[2]: row[1].strip() for row in rows}
        if all(labels.get(file) in classes for file in files):
            notes.append(f"In {side.top}: labels are taken from {tables[index][-1]}.")
            return [labels[file] for file in files]
    return None


def name_groups(files: Sequence[Name], groups: Groups, place: str) -> npt.NDArray[Any] | None:
    """The group of each file, read from its name below its class folder.

    Raises:
        DataError: A name gives no group.
    """
    if groups.folder:
        names = ["/".join(file[:-1]) for file in files]
        what, fix = "lies right in its class folder", "put each group into a folder of its own there"
    elif groups.before is not None:
        names = [file[-1].partition(groups.before)[0] if groups.before in file[-1] else "" for file in files]
        what, fix = f'has nothing before "{groups.before}" in its name', "rename it, or name another text"
    else:
        return None
    if "" in names:
        file = "/".join(files[names.index("")])
        more = f" (and {names.count('') - 1:,} more)" if names.count("") > 1 else ""
        raise DataError(Problem(f"{file}{more} {what}, so its group is not known", fix, "data.groups", place))
    return np.asarray(names)


def write_tree(
    folder: Path,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    classes: Sequence[str],
) -> list[Path]:
    """Writes images as PNG files, a folder for each class, numbered so that they are read back in their order."""
    from PIL import Image

    digits = len(str(max(1, len(images) - 1)))
    paths = []
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        class_folder = folder / classes[label].replace("/", "-")
        path = class_folder / f"{index:0{digits}}.png"
        with disk_errors(path, "written"):
            class_folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(path)
        paths.append(path)
    return paths
