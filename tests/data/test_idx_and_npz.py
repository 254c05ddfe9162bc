"""IDX pairs and NumPy files as people name and shape them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from assay.data import prepare, write_idx
from assay.data.readers.npy import write_npz
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(53)
IMAGES = RNG.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8)
GREY = IMAGES[..., 0]
LABELS = np.arange(20) % 4


def own(path: Path, **how: object):
    return prepare(Data(path=str(path), **how))


@pytest.mark.parametrize(
    "names",
    [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("emnist-letters-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte.gz"),
        ("my-images.idx", "my-labels.idx"),
    ],
)
def test_pairs_are_found_by_their_names(tmp_path, names):
    write_idx(tmp_path / names[0], GREY)
    write_idx(tmp_path / names[1], LABELS.astype(np.uint8))
    for place in (tmp_path / names[0], tmp_path):
        dataset = own(place)
        assert np.array_equal(dataset.training().images[..., 0], GREY)
        assert dataset.training().labels.tolist() == LABELS.tolist()
        assert dataset.info.num_test == 0


def test_a_folder_with_both_splits_colour_and_labels_of_qmnist(tmp_path):
    told = np.stack([LABELS, *RNG.integers(0, 99, (7, 20))], axis=1).astype(np.int32)
    for part, rows in (("train", slice(0, 12)), ("test", slice(12, 20))):
        write_idx(tmp_path / f"x-{part}-images-idx4-ubyte", IMAGES[rows])
        write_idx(tmp_path / f"x-{part}-labels-idx1-ubyte", told[rows])
    dataset = own(tmp_path)
    assert np.array_equal(dataset.training().images, IMAGES[:12])
    assert dataset.test().labels.tolist() == LABELS[12:].tolist()


def test_labels_may_be_named_and_lie_elsewhere(tmp_path):
    (tmp_path / "b").mkdir()
    write_idx(tmp_path / "pictures.idx", GREY)
    write_idx(tmp_path / "b" / "classes.idx", LABELS.astype(np.uint8))
    assert len(own(tmp_path / "pictures.idx", read={"labels": "b/classes.idx"}).training()) == 20
    with pytest.raises(DataError, match="the training images have no labels"):
        own(tmp_path / "pictures.idx")


def test_idx_mistakes_have_a_sentence(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", GREY)
    write_idx(tmp_path / "train-labels-idx1-ubyte", LABELS[:-3].astype(np.uint8))
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte: it holds 17 labels, and train-images.* 20 images"):
        own(tmp_path)
    with pytest.raises(DataError, match="it holds labels, not images"):
        own(tmp_path / "train-labels-idx1-ubyte")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x89PNG" + bytes(40))
    with pytest.raises(DataError, match="an IDX file starts with 00 00"):
        own(tmp_path)
    shutil.copy(tmp_path / "train-labels-idx1-ubyte", tmp_path / "emnist-train-images-idx3-ubyte")
    with pytest.raises(DataError, match="name one of them as path and one as test"):
        own(tmp_path)


NAMED = {
    "keras": {"x_train": GREY[:12], "y_train": LABELS[:12], "x_test": GREY[12:], "y_test": LABELS[12:]},
    "medical": {
        "train_images": GREY[:8], "train_labels": LABELS[:8, None], "val_images": GREY[8:12],
        "val_labels": LABELS[8:12, None], "test_images": GREY[12:], "test_labels": LABELS[12:, None],
    },
    "flat": {
        "X_train": GREY.reshape(20, -1)[:12], "y_train": np.eye(4)[LABELS[:12]],
        "X_test": GREY.reshape(20, -1)[12:], "y_test": np.eye(4)[LABELS[12:]],
    },
    "shares": {"x_train": GREY[:12] / 255, "y_train": LABELS[:12], "x_test": GREY[12:] / 255, "y_test": LABELS[12:]},
}  # fmt: skip


@pytest.mark.parametrize("names", NAMED)
def test_arrays_under_the_usual_names_are_one_content(tmp_path, names):
    write_npz(tmp_path / "a.npz", NAMED["keras"])
    write_npz(tmp_path / "b.npz", NAMED[names])
    found = own(tmp_path / "b.npz", read={"shape": [4, 5]})
    assert found.info.content == own(tmp_path / "a.npz").info.content
    assert np.array_equal(found.test().images[..., 0], GREY[12:])
    if names == "medical":
        assert any("The images of val_images count as training images" in note for note in found.info.notes)


def test_other_names_other_orders_and_single_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", stack=IMAGES.transpose(0, 3, 1, 2), kind=np.array(["w", "x", "y", "z"])[LABELS])
    dataset = own(tmp_path / "a.npz", read={"image": "stack", "label": "kind"})
    assert np.array_equal(dataset.training().images, IMAGES)
    assert dataset.info.classes == ("w", "x", "y", "z")
    np.savez(tmp_path / "imgs.npz", GREY)
    np.savez(tmp_path / "labels.npz", LABELS)
    np.save(tmp_path / "imgs.npy", GREY)
    first = own(tmp_path / "imgs.npz", read={"labels": "labels.npz"})
    assert first.info.content == own(tmp_path / "imgs.npy", read={"labels": "labels.npz"}).info.content


def test_sixteen_bits_are_kept_as_float32(tmp_path):
    deep = RNG.integers(0, 65536, (20, 4, 5), dtype=np.uint16)
    np.savez(tmp_path / "a.npz", x_train=deep, y_train=LABELS)
    images = own(tmp_path / "a.npz").training().images
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[..., 0], deep / 65535, rtol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"pictures": GREY, "answers": LABELS}, r"it holds pictures \(20 x 4 x 5\), answers \(20\); name the arrays"),
        ({"x_train": GREY, "y_train": LABELS[:-1]}, "there are 20 images, and the labels are 19"),
        ({"x_train": GREY.reshape(20, -1)[:, :19], "y_train": LABELS}, "a row has 19 values"),
        ({"x_train": GREY - 256.0, "y_train": LABELS}, "image 1 holds"),
        ({"x_train": GREY, "y_train": LABELS * 0}, "every image has the same label, 0"),
        (
            {"x_train": GREY, "y_train": LABELS, "x_test": GREY[:, :3], "y_test": LABELS},
            "the test images are 3 x 5 x 1",
        ),
    ],
)
def test_npz_mistakes_have_a_sentence(tmp_path, arrays, told):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=told):
        own(tmp_path / "a.npz")
