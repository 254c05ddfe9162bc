"""Looks up and downloads the weights of pretrained networks by name, and verifies their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...disk import disk_errors
from ...errors import DataError, Problem
from ..location import raw_folder
from . import raw
from .entries import Entry, RawFile
from .fetch import DownloadProgress, fetch_entry

FOLDER = "weights"


@dataclass(frozen=True)
class WeightsFile:
    """The ImageNet weights of one network.

    Args:
        file: Its name on the mirrors, and its checksum: SHA-256 where one is published, else the MD5 that Keras checks.
        mirrors: Addresses of folders, in the order in which they are tried.
        licence: Of the weights.
        aliases: Other names under which the same content is recognised.
    """

    file: RawFile
    mirrors: tuple[str, ...]
    licence: str
    aliases: tuple[str, ...] = ()


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"
_TORCH = "https://download.pytorch.org/models/"
_NOTOP = "weights_tf_dim_ordering_tf_kernels_notop.h5"

# MD5 are those that keras.applications checks; the SHA-256 of ResNet-18 begins with what its name says.
WEIGHTS: Mapping[str, WeightsFile] = {
    "vgg16": WeightsFile(
        RawFile(f"vgg16_{_NOTOP}", packed="md5:6d6bbae143d832006294945121d1f1fc"),
        (f"{_KERAS}vgg16/", "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/"),
        "CC BY 4.0 (Visual Geometry Group, Oxford)",
    ),
    "vgg19": WeightsFile(
        RawFile(f"vgg19_{_NOTOP}", packed="md5:253f8cb515780f3b799900260a226db6"),
        (f"{_KERAS}vgg19/", "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/"),
        "CC BY 4.0 (Visual Geometry Group, Oxford)",
    ),
    "squeezenet": WeightsFile(
        RawFile(
            f"squeezenet_{_NOTOP}",
            packed="sha256:17154246284f555591549ac2c83e127abfbf4307dc4b0060fdaa2931d0fa38da",
        ),
        (
            "https://raw.githubusercontent.com/DeepCognition/keras-squeezenet/master/",
            "https://raw.githubusercontent.com/rcmalli/keras-squeezenet/master/weights/",
        ),
        "MIT (keras-squeezenet)",
        aliases=("squeezenet11_notop_tf.h5",),
    ),
    "resnet18": WeightsFile(
        RawFile(
            "resnet18-f37072fd.pth",
            packed="sha256:f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        ),
        (_TORCH,),
        "BSD 3-Clause (torchvision)",
    ),
}


def weights_folder() -> Path:
    """Where weights files are looked up and fetched to: ``weights`` beside the data sets' raw files."""
    return raw_folder(FOLDER)


def find_weights(name: str) -> Path:
    """The file of a network's ImageNet weights, verified by its checksum.

    Raises:
        DataError: There are none under that name, the file is missing, or it is not the published one.
    """
    if name not in WEIGHTS:
        what = f"no ImageNet weights are known by name for {name}"
        fix = f"give weights = a file of your own, or one of {', '.join(WEIGHTS)}"
        raise DataError(Problem(what, fix, "base.weights"))
    weights, folder = WEIGHTS[name], weights_folder()
    path = _local_path(weights, folder)
    if path is None:
        what = f"{name}'s ImageNet weights are not here, {weights.file.name} is missing"
        raise DataError(Problem(what, f"run `assay data fetch {name}`, or put it into this folder", file=str(folder)))
    raw.check(path, weights.file, name)
    return path


def has_weights(name: str) -> bool:
    """Whether the file of a network's ImageNet weights is here; its content is not read."""
    return name in WEIGHTS and _local_path(WEIGHTS[name], weights_folder()) is not None


def fetch_weights(name: str, *, progress: DownloadProgress | None = None) -> list[Path]:
    """Downloads a network's ImageNet weights, resumed where it broke off, as ``fetch`` does with a data set.

    Raises:
        DataError: There are none under that name, no mirror gave the file, or the folder cannot be used.
        DiskFull: There is no space left.
    """
    weights = WEIGHTS.get(name)
    if weights is None or _local_path(weights, weights_folder()) is not None:
        return [find_weights(name)]
    entry = Entry(
        name=name, title=name, height=1, width=1, channels=3, classes=(), num_training=0, num_test=0, sha256=(),
        mirrors=weights.mirrors, sources=weights.mirrors, licence=weights.licence, citation="", test_split_note="",
        packed=(weights.file,), form="weights", folder=FOLDER,
    )  # fmt: skip
    return fetch_entry(entry, progress=progress)


def _local_path(weights: WeightsFile, folder: Path) -> Path | None:
    for name in (weights.file.name, *weights.aliases):
        with disk_errors(folder / name, "read"):
            if (folder / name).is_file():
                return folder / name
    return None
