"""Arrays and torch Datasets from Python: the same content as the same images in a file."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import assay
from assay.data import prepare
from assay.data.readers.delimited import write_delimited
from assay.errors import DataError, SpecError

RNG = np.random.default_rng(19)
IMAGES = RNG.integers(0, 256, (30, 5, 5), dtype=np.uint8)
LABELS = np.arange(30) % 3


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES, LABELS),
        (IMAGES[..., None], LABELS[:, None]),
        (IMAGES.reshape(30, 25), np.eye(3)[LABELS]),
        (IMAGES[:, None], LABELS.astype(np.uint8)),
        (IMAGES / 255, LABELS.astype(float)),
        ((IMAGES / 255).astype(np.float32), LABELS.astype(str)),
        (IMAGES.astype(np.int64), LABELS.tolist()),
        (IMAGES.tolist(), [str(label) for label in LABELS]),
        (np.asfortranarray(IMAGES), LABELS),
    ],
)
def test_arrays_in_any_form_are_one_content(tmp_path, images, labels):
    write_delimited(tmp_path / "a.csv", IMAGES[..., None], LABELS)
    data = assay.arrays(images, labels, test=0.2)
    dataset = prepare(data)
    assert dataset.info.content == prepare(assay.Data(path=str(tmp_path / "a.csv"), test=0.2)).info.content
    assert (dataset.info.name, dataset.info.num_training, dataset.info.num_test) == ("arrays", 24, 6)


def test_a_pair_is_a_test_split_and_classes_have_names():
    data = assay.arrays(IMAGES[:20], LABELS[:20], test=(IMAGES[20:], LABELS[20:]), classes=["x", "y", "z"], name="mine")
    dataset = prepare(data)
    assert np.array_equal(dataset.test().images[..., 0], IMAGES[20:])
    assert dataset.info.classes == ("x", "y", "z")
    assert dataset.info.title == "mine"


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (IMAGES, LABELS[:-1], "there are 30 images, and the labels are 29"),
        (IMAGES[0, 0], LABELS, "images have the shape 5"),
        (IMAGES.reshape(30, 25)[:, :23], LABELS, "a row has 23 values"),
        (IMAGES - 300.0, LABELS, "pixels are 0 to 255 or 0 to 1"),
        (np.full((30, 5, 5), np.nan), LABELS, "image 1 holds a value that is no number"),
        (IMAGES.astype(object), LABELS, "images are object"),
        (IMAGES, LABELS * 0.5, "label 2 is 0.5"),
        (IMAGES[:0], LABELS[:0], "images have the shape"),
        (IMAGES.astype(np.int32) * 1000, LABELS, "image 1 holds 85000, and pixels are"),
    ],
)
def test_what_does_not_go_together_is_told(images, labels, told):
    with pytest.raises(DataError, match=told):
        assay.arrays(images, labels)
    with pytest.raises(SpecError, match=r"data\.test"):
        assay.arrays(IMAGES[:4], LABELS[:4], test=0.9)


class Squares(torch.utils.data.Dataset):
    classes = ("a", "b", "c")

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int):
        return torch.from_numpy(IMAGES[index : index + 1] / np.float32(255)), int(LABELS[index])


def test_a_torch_dataset_is_read_item_by_item():
    dataset = prepare(assay.torch_dataset(Squares(), test=Squares()))
    assert np.array_equal(dataset.training().images[..., 0], IMAGES)
    assert np.array_equal(dataset.test().images[..., 0], IMAGES)
    assert dataset.info.classes == Squares.classes
    assert dataset.info.name == "Squares"
    pairs = [(IMAGES[0], 0), (IMAGES[1, :4], 1)]
    with pytest.raises(DataError, match=r"image 2 is uint8 \(4, 5\), and the first is uint8 \(5, 5\)"):
        assay.torch_dataset(pairs)


def test_another_process_finds_them_by_their_content():
    data = assay.arrays(IMAGES, LABELS)
    code = (
        "import sys, assay; from assay.data import prepare\n"
        "print(int(prepare(assay.Data(content=sys.argv[1])).training().images.sum()))"
    )
    done = subprocess.run([sys.executable, "-c", code, data.content], capture_output=True, text=True, check=True)
    assert int(done.stdout) == int(IMAGES.sum())


def pairs(rows: slice = slice(None)):
    yield from zip(IMAGES[rows], LABELS[rows].tolist(), strict=True)


class Stream(torch.utils.data.IterableDataset):
    def __len__(self) -> int:
        return 30

    def __iter__(self):
        return ((torch.from_numpy(image)[None], label) for image, label in pairs())


@pytest.mark.parametrize("make", [pairs, Stream, lambda: list(pairs()), lambda: iter(list(pairs()))])
def test_generators_and_streams_are_read_to_their_end(make):
    dataset = prepare(assay.torch_dataset(make(), test=0.2, name="x"))
    expected = prepare(assay.arrays(IMAGES, LABELS, test=0.2, name="x"))
    assert dataset.info.content == expected.info.content


def test_a_generator_can_be_a_test_split():
    dataset = prepare(assay.torch_dataset(pairs(slice(20)), test=pairs(slice(20, 30))))
    assert np.array_equal(dataset.test().images[..., 0], IMAGES[20:])


def test_what_has_no_end_or_is_no_pair_is_refused(monkeypatch):
    import itertools

    monkeypatch.setattr("assay.data.handed.MOST_IMAGES", 128)
    with pytest.raises(DataError, match="it gives more than 128 images, and may have no end; give fewer"):
        assay.torch_dataset(itertools.cycle(pairs()))
    loader = torch.utils.data.DataLoader(Stream(), batch_size=5)
    with pytest.raises(DataError, match=r"item 1 holds 5 x 1 x 5 x 5 values, .* a dataset instead of its loader"):
        assay.torch_dataset(loader)
    with pytest.raises(DataError, match="item 1 is ndarray, and a pair of an image and a label is expected"):
        assay.torch_dataset(iter(IMAGES))
    with pytest.raises(DataError, match="it is int; give a dataset"):
        assay.torch_dataset(7)


def test_a_generator_that_memory_cannot_hold_is_refused(monkeypatch):
    import itertools

    import psutil

    free = psutil.virtual_memory()._replace(available=1 << 20)
    monkeypatch.setattr("assay.data.readers.limits._ALWAYS_BYTES", 1 << 18)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    with pytest.raises(DataError, match=r"its images take 0\.0 GiB, and 0\.0 GiB of memory are free"):
        assay.torch_dataset(itertools.cycle([(np.zeros((50, 50), np.uint8), 0)]))
