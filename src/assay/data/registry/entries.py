"""The registry's record of a data set: its description, its files, and their checksums."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..types import DatasetInfo


@dataclass(frozen=True)
class RawFile:
    """One file of a data set.

    Args:
        name: Its name on the mirrors; an IDX file without ``.gz`` is recognised too.
        sha256: Of the decompressed IDX content, since gzip writes the time of packing into the packed one.
        packed: ``sha256:...`` or ``md5:...`` of the file as it lies on the mirrors, where that is what is published.
    """

    name: str
    sha256: str = ""
    packed: str = ""


@dataclass(frozen=True)
class Entry:
    """A data set of the registry. The arguments that ``DatasetInfo`` has too mean the same there.

    Args:
        sha256: Of the four plain IDX files: training images, training labels, test images, test labels; none for
            ``packed`` files.
        mirrors: Addresses of folders that hold the files, in the order in which they are tried; none where
            the data come with an installed package.
        packed: The files as they are published, where they are known by their own checksums.
        form: How ``packed`` files are read: see ``unpack.py``.
        folder: Where the raw files lie, when several data sets share them.
    """

    name: str
    title: str
    height: int
    width: int
    channels: int
    classes: tuple[str, ...]
    num_training: int
    num_test: int
    sha256: tuple[str, ...]
    mirrors: tuple[str, ...]
    sources: tuple[str, ...]
    licence: str
    citation: str
    test_split_note: str
    packed: tuple[RawFile, ...] = ()
    form: str = "idx"
    folder: str = ""

    @property
    def place(self) -> str:
        """The name of the folder of raw files."""
        return self.folder or self.name

    @property
    def files(self) -> tuple[RawFile, ...]:
        """The packed files, or four IDX files: training images, training labels, test images, test labels."""
        if self.packed:
            return self.packed
        images, labels = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"
        return (
            RawFile(f"train-{images}", self.sha256[0]),
            RawFile(f"train-{labels}", self.sha256[1]),
            RawFile(f"t10k-{images}", self.sha256[2]),
            RawFile(f"t10k-{labels}", self.sha256[3]),
        )

    @property
    def content(self) -> str:
        """SHA-256 over the four files' SHA-256, written one after the other as hexadecimal digits.

        Empty for packed files, whose content is not known before they are read.
        """
        if self.packed:
            return ""
        return hashlib.sha256("".join(self.sha256).encode()).hexdigest()

    @property
    def verified_by(self) -> str:
        """How the data are verified before use, as a sentence."""
        if not self.packed:
            return "Content verified by its SHA-256."
        kinds = {file.packed.split(":")[0] for file in self.packed}
        if kinds == {"sha256"}:
            return "Files verified by their SHA-256."
        return "Files verified by the MD5 that torchvision publishes; no SHA-256 is recorded."

    @property
    def is_bundled(self) -> bool:
        """The data come with an installed package: there is nothing to fetch."""
        return not self.mirrors

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.name,
            title=self.title,
            height=self.height,
            width=self.width,
            channels=self.channels,
            classes=self.classes,
            num_training=self.num_training,
            num_test=self.num_test,
            content=self.content,
            licence=self.licence,
            citation=self.citation,
            sources=self.sources,
            test_split_note=self.test_split_note,
        )
