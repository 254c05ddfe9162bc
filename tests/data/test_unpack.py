"""The published forms of well-known data sets, on small files that these tests write in the same form."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import hashlib
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from assay.data import Entry, RawFile, entry, prepare, raw_folder, write_idx
from assay.data.prepare import prepare_entry
from assay.data.registry.fetch import fetch_entry
from assay.errors import DataError

RNG = np.random.default_rng(31)
COUNTS = (14, 6)


def arrays(shape: tuple[int, ...], num_classes: int) -> list[np.ndarray]:
    found = []
    for count in COUNTS:
        found += [RNG.integers(0, 256, (count, *shape), dtype=np.uint8), RNG.integers(0, num_classes, count)]
    return found


def packed_idx(array: np.ndarray) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.gz"
        write_idx(path, array)
        return path.read_bytes()


def four(made: list[np.ndarray]) -> list[bytes]:
    return [packed_idx(a[..., 0] if a.ndim == 4 else a.astype(np.uint8)) for a in made]


def qmnist(made: list[np.ndarray]) -> list[bytes]:
    told = [
        np.stack([labels, *RNG.integers(0, 99, (7, len(labels)))], axis=1).astype(np.int32) for labels in made[1::2]
    ]
    return [packed_idx(a) for a in (made[0][..., 0], told[0], made[2][..., 0], told[1])]


def emnist(made: list[np.ndarray], part: str, first: int) -> list[bytes]:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for split, images, labels in (("train", *made[:2]), ("test", *made[2:])):
            lying = images[..., 0].transpose(0, 2, 1)
            archive.writestr(f"gzip/emnist-{part}-{split}-images-idx3-ubyte.gz", packed_idx(lying))
            values = (labels + first).astype(np.uint8)
            archive.writestr(f"gzip/emnist-{part}-{split}-labels-idx1-ubyte.gz", packed_idx(values))
    return [file.getvalue()]


def usps(made: list[np.ndarray]) -> list[bytes]:
    files = []
    for images, labels in (made[:2], made[2:]):
        lines = [
            f"{label + 1} " + " ".join(f"{k + 1}:{v / 127.5 - 1:.6g}" for k, v in enumerate(image.reshape(-1)))
            for image, label in zip(images, labels, strict=True)
        ]
        files.append(bz2.compress("\n".join(lines).encode()))
    return files


def svhn(made: list[np.ndarray]) -> list[bytes]:
    files = []
    for images, labels in (made[:2], made[2:]):
        file = io.BytesIO()
        savemat(
            file, {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels == 0, 10, labels)[:, None].astype(np.uint8)}
        )
        files.append(file.getvalue())
    return files


def cifar(made: list[np.ndarray], is_hundred: bool) -> list[bytes]:
    def rows(images: np.ndarray, labels: np.ndarray) -> bytes:
        first = [np.full(len(labels), 7), labels] if is_hundred else [labels]
        head = np.stack(first, axis=1).astype(np.uint8)
        return np.concatenate([head, images.transpose(0, 3, 1, 2).reshape(len(images), -1)], axis=1).tobytes()

    training = {"train.bin": slice(None)} if is_hundred else {
        f"data_batch_{k + 1}.bin": slice(k * 3, (k + 1) * 3 if k < 4 else None) for k in range(5)
    }  # fmt: skip
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        contents = {name: rows(made[0][part], made[1][part]) for name, part in training.items()}
        contents["test.bin" if is_hundred else "test_batch.bin"] = rows(made[2], made[3])
        for name, content in reversed(contents.items()):
            info = tarfile.TarInfo(f"cifar-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return [file.getvalue()]


WRITERS = {
    "kmnist": four,
    "qmnist": qmnist,
    "emnist_balanced": lambda made: emnist(made, "balanced", 0),
    "emnist_letters": lambda made: emnist(made, "letters", 1),
    "usps": usps,
    "svhn": svhn,
    "cifar10": lambda made: cifar(made, False),
    "cifar100": lambda made: cifar(made, True),
}


def published(name: str) -> tuple[Entry, list[np.ndarray], list[bytes]]:
    known = entry(name)
    made = arrays(known.info.shape, len(known.classes))
    contents = WRITERS[name](made)
    kinds = [file.packed.split(":")[0] for file in known.packed]
    packed = tuple(
        RawFile(file.name, packed=f"{kind}:{hashlib.new(kind, content).hexdigest()}")
        for file, kind, content in zip(known.packed, kinds, contents, strict=True)
    )
    return dataclasses.replace(known, packed=packed), made, contents


def put(wanted: Entry, contents: list[bytes]) -> Path:
    folder = raw_folder(wanted.place)
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in zip(wanted.files, contents, strict=True):
        (folder / file.name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", WRITERS)
def test_published_files_are_read(name):
    wanted, made, contents = published(name)
    folder = put(wanted, contents)
    dataset = prepare_entry(wanted)
    training, test = dataset.training(), dataset.test()
    for ours, theirs in zip((training.images, training.labels, test.images, test.labels), made, strict=True):
        assert np.array_equal(ours, theirs)
    assert dataset.info.classes == wanted.classes
    assert (dataset.info.num_training, dataset.info.num_test) == COUNTS
    assert len(dataset.info.content) == 64
    assert dataset.info.citation == wanted.citation
    for path in folder.iterdir():  # what was read once needs no raw files
        path.unlink()
    assert prepare_entry(wanted).info == dataset.info


@pytest.mark.parametrize("name", WRITERS)
def test_other_files_are_refused_by_their_checksum(name):
    wanted, _, contents = published(name)
    folder = put(wanted, [*contents[:-1], contents[-1] + b"x"])
    with pytest.raises(DataError) as caught:
        prepare_entry(wanted)
    (problem,) = caught.value.problems
    assert problem.file == str(folder / wanted.files[-1].name)
    assert "this is not the published file" in problem.what
    assert f"assay data fetch {name}" in problem.fix


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_the_right_checksum_and_another_form_are_refused(name):
    """Never an array that is not what the name promises, whatever is published one day."""
    wanted, _, contents = published(name)
    bad = [gzip.compress(b"nothing of the kind") for _ in contents]
    files = tuple(
        RawFile(file.name, packed=f"sha256:{hashlib.sha256(content).hexdigest()}")
        for file, content in zip(wanted.packed, bad, strict=True)
    )
    wanted = dataclasses.replace(wanted, packed=files)
    put(wanted, bad)
    with pytest.raises(DataError):
        prepare_entry(wanted)


def test_they_are_fetched_like_the_others(mirrors):
    wanted, made, contents = published("usps")
    wanted = dataclasses.replace(wanted, mirrors=tuple(mirror.url for mirror in mirrors))
    for mirror in mirrors:
        mirror.files = {file.name: content for file, content in zip(wanted.files, contents, strict=True)}
    mirrors[0].cuts_after_bytes = 500
    paths = fetch_entry(wanted)
    assert [path.read_bytes() for path in paths] == contents
    assert mirrors[1].asked[0][1] == "bytes=500-"
    assert np.array_equal(prepare_entry(wanted).training().labels, made[1])


def test_missing_files_are_told_with_the_place_and_the_command():
    with pytest.raises(DataError) as caught:
        prepare("cifar10")
    assert str(caught.value) == (
        f"{raw_folder('cifar10')}: cifar10 is not here, cifar-10-binary.tar.gz is missing; "
        "run `assay data fetch cifar10`, or put it into this folder."
    )
    with pytest.raises(DataError, match="emnist"):
        prepare("emnist_letters")
