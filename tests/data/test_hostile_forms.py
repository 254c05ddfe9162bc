"""Damaged and hostile files of the later forms: one sentence of Assay's own, no other error, bounded memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import dump_svmlight_file

from assay.data import Dataset, prepare
from assay.data.readers.name_patterns import compiled, proposed_patterns
from assay.data.readers.plain_pickle import NotPlain, plain_pickle
from assay.data.readers.sides import arrangement, rows_of_splits, side_of
from assay.data.sources import read_source
from assay.errors import DataError, InputError
from assay.spec import Data

from .test_hostile import MOST_BYTES, bounded, damaged
from .test_shards import example, framed

RNG = np.random.default_rng(263)
IMAGES = RNG.integers(0, 256, (12, 6, 6), dtype=np.uint8)
LABELS = np.arange(12) % 3


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def table() -> bytes:
    return "\n".join(
        ",".join(map(str, [*image, k])) for image, k in zip(IMAGES.reshape(12, 36), LABELS, strict=True)
    ).encode()


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x_train", data=IMAGES, compression="gzip")
        file["y_train"] = LABELS


def cifar(path: Path, *, is_binary: bool) -> None:
    planes = RNG.integers(0, 256, (4, 3072), dtype=np.uint8)
    rows = np.column_stack([np.arange(4) % 2, planes]).astype(np.uint8)
    values = {"data": planes, "labels": [0, 1, 0, 1]}
    path.write_bytes(rows.tobytes() if is_binary else pickle.dumps(values, protocol=2))


def arff(path: Path) -> None:
    header = ["@relation x", *(f"@attribute p{k} numeric" for k in range(36)), "@attribute class {0,1,2}", "@data"]
    path.write_bytes("\n".join(header).encode() + b"\n" + table())


def shard(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for k, image in enumerate(IMAGES):
            for name, content in ((f"{k:03}.png", png(image)), (f"{k:03}.json", b'{"label": %d}' % LABELS[k])):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", table())


def packed_list(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.csv", "id,label\n" + "".join(f"{k},{LABELS[k]}\n" for k in range(12)))
        for k, image in enumerate(IMAGES):
            archive.writestr(f"images/{k}.png", png(image))


def tasks(path: Path) -> None:
    for k, image in enumerate(IMAGES):
        (path.parent / f"{k}.png").write_bytes(png(image))
    results = [[{"from_name": "a", "type": "choices", "value": {"choices": [f"c{k}"]}}] for k in LABELS]
    path.write_text(
        json.dumps([{"data": {"image": f"{k}.png"}, "annotations": [{"result": r}]} for k, r in enumerate(results)])
    )


def cells(path: Path) -> None:
    rows = [f"{k},{' '.join(map(str, image))}" for image, k in zip(IMAGES.reshape(12, 36), LABELS, strict=True)]
    path.write_text("\n".join(["emotion,pixels", *rows]))


def one_hot(path: Path) -> None:
    rows = np.column_stack([IMAGES.reshape(12, 36), np.eye(3, dtype=int)[LABELS]])
    path.write_text("\n".join(" ".join(map(str, row)) for row in rows))


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.h5": hdf5,
    "a.mat": lambda path: savemat(path, {"X": IMAGES, "y": LABELS}, do_compression=True),
    "b.mat": lambda path: savemat(path, {"X": IMAGES, "y": LABELS}),
    "data_batch_1.bin": lambda path: cifar(path, is_binary=True),
    "data_batch_1": lambda path: cifar(path, is_binary=False),
    "a.arff": arff,
    "a.libsvm": lambda path: dump_svmlight_file(IMAGES.reshape(12, 36).astype(float), LABELS, str(path)),
    "a.tfrecord": lambda path: path.write_bytes(
        b"".join(framed(example(image=png(image), label=int(k))) for image, k in zip(IMAGES, LABELS, strict=True))
    ),
    "a.tar": shard,
    "a.zip": zipped,
    "list.zip": packed_list,
    "tasks.json": tasks,
    "cells.csv": cells,
    "a.data": one_hot,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile-forms")
    for name, write in WRITERS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write(folder / name)
    return folder


@pytest.fixture(scope="module")
def intact(place: Path) -> dict[str, bytes]:
    return {name: (place / name).read_bytes() for name in WRITERS}


def attempt(path: Path, **values: object) -> str:
    """Reads a file to the end: "read", or the sentence that refuses it."""
    try:
        content, _ = read_source(Data.of({"path": str(path), **values}))
        content.sha256()
    except InputError as refused:
        problems = refused.problems
    else:
        return "read"
    assert problems
    assert all("\n" not in str(problem) and problem.what for problem in problems)
    return str(problems[0])


@pytest.mark.parametrize("name", WRITERS)
def test_intact_files_are_read(place, intact, name):
    (place / name).write_bytes(intact[name])
    assert attempt(place / name) == "read"


@pytest.mark.parametrize("name", WRITERS)
@bounded(40)
@given(data=st.data())
def test_damage_is_read_or_refused_and_takes_no_memory(place, intact, name, data):
    (place / name).write_bytes(damaged(intact[name], data))
    tracemalloc.start()
    try:
        attempt(place / name)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", WRITERS)
@bounded(20)
@given(
    content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
)
def test_files_of_anything_are_refused(place, name, content):
    (place / name).write_bytes(content)
    assert attempt(place / name) != "read"


@pytest.mark.parametrize("name", WRITERS)
def test_pipes_and_devices_are_no_data(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "this is a pipe; give a file" in attempt(tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    assert "this is a device; give a file" in attempt(tmp_path / name)


@bounded(300)
@given(content=st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda more: b"\x80\x02" + more + b".")))
def test_any_bytes_as_a_pickle(content):
    try:
        plain_pickle(content)
    except NotPlain as refused:
        message = str(refused)
        assert message


def test_pickles_that_would_take_forever_are_refused():
    nested = b"\x80\x02)" + b"".join(b"q%c0h%ch%c\x86" % (k, k, k) for k in range(60))  # a pair of a pair of ...
    with pytest.raises(NotPlain, match="keys that are neither texts nor numbers"):
        plain_pickle(b"\x80\x02}" + nested[2:] + b"K\x01s.")
    with pytest.raises(NotPlain):
        plain_pickle(b"\x80\x04" + nested[2:] + b"\x8c\x01a\x93.")
    with pytest.raises(NotPlain):
        plain_pickle(b"\x80\x02" + b"]" * 100_000 + b"(" * 100_000)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 300), st.floats(),
              st.sampled_from(["0.png", "a", "", "image"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["data", "image", "annotations", "result", "value", "choices", "type", "label", "images",
                             "categories", "id", "name", "image_id", "category_id", "file_name", "from_name", "bbox"]),
            inner, max_size=4,
        ),
    ),
    max_leaves=25,
)  # fmt: skip


@bounded(200)
@given(value=st.one_of(VALUES, st.lists(VALUES, max_size=4)))
def test_json_of_any_values_is_read_or_refused(place, value):
    (place / "any.json").write_text(json.dumps(value))
    attempt(place / "any.json")


@bounded(150)
@given(
    names=st.lists(st.text(st.sampled_from("ab01_-. []é"), min_size=1, max_size=12), min_size=0, max_size=12),
    pattern=st.lists(
        st.sampled_from(["[label]", "[id]", "[x]", "_", "-", ".", "a", "[", "]", "*", "(", "\\"]), max_size=8
    ).map("".join),
)
def test_patterns_of_anything_match_or_are_refused(names, pattern):
    files = [f"{name}.png" for name in names]
    for proposed in proposed_patterns(files):
        assert all(compiled(proposed, "").fullmatch(name) for name in names)
    try:
        expression = compiled(pattern, "")
    except DataError as refused:
        problems = refused.problems
        assert problems
    else:
        for name in names:
            expression.fullmatch(name)


@bounded(60)
@given(data=st.data(), name=st.sampled_from(["[label]_[id]", "[id]_[label]", "[label][id]", "[label]"]))
def test_folders_of_any_names_with_labels_in_them(tmp_path_factory, data, name):
    folder = tmp_path_factory.mktemp("names")
    names = data.draw(st.lists(st.text(st.sampled_from("ab01_-."), min_size=1, max_size=6), min_size=1, max_size=6))
    tops = data.draw(st.lists(st.sampled_from(["", "train", "test", "valid", "other"]), min_size=6, max_size=6))
    for index, (one, top) in enumerate(zip(names, tops, strict=False)):
        (folder / top).mkdir(exist_ok=True)
        (folder / top / f"{one}.png").write_bytes(png(IMAGES[index]))
    attempt(folder, read={"labels": name})
    attempt(folder)


WORDS = st.sampled_from(["train", "test", "val", "valid", "eval", "fold_1", "fold_2", "seg_train", "cat", "dog",
                         "holdout", "part_1", "train_test", "Training Set", "x"])  # fmt: skip


@bounded(200)
@given(below=st.dictionaries(WORDS, st.frozensets(st.sampled_from(["cat", "dog", "images"]), max_size=3), max_size=6))
def test_folders_of_any_names_are_splits_classes_or_a_question(below):
    found = arrangement(below)
    assert set(found.splits.values()) <= set(below)
    if found.question is not None:
        assert not found.splits
        assert all(found.question)
    elif found.splits and len(found.splits) > 1:
        assert len(set(found.splits.values())) == len(found.splits)
    for side, top in found.splits.items():
        assert side_of(top) in (side, "eval")


@bounded(100)
@given(words=st.lists(WORDS, max_size=8))
def test_columns_of_any_words_are_splits_or_a_row(words):
    found = rows_of_splits(words)
    if isinstance(found, int):
        assert 0 <= found < len(words)
    else:
        assert sorted(row for rows in found.values() for row in rows) == list(range(len(words)))


FILES = {
    "train.csv": table(), "test.csv": table(), "x.npz": b"", "labels.json": b"[]", "a/0.png": png(IMAGES[0]),
    "b/1.png": png(IMAGES[1]), "train/0.png": png(IMAGES[2]), "0.png": png(IMAGES[3]),
    "sample_submission.csv": b"id\n1",
    "data_batch_1.bin": b"x", "x.parquet": b"x", "y.h5": b"x", "x-images-idx3-ubyte": b"x", "a.tfrecord": b"x",
    "readme.txt": b"x", "ids.csv": b"id,label\n0,a\n1,b", "z.zip": b"PK", "a.tar": b"x", "x_y.npy": b"x",
}  # fmt: skip


@bounded(120)
@given(
    names=st.sets(st.sampled_from(sorted(FILES)), max_size=7),
    top=st.sampled_from(["", "deep/er"]),
    is_zip=st.booleans(),
)
def test_bundles_of_anything_are_read_or_refused(tmp_path_factory, names, top, is_zip):
    folder = tmp_path_factory.mktemp("bundle")
    for name in names:
        path = folder / top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
    if is_zip:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for name in sorted(names):
                archive.writestr(f"{top}/{name}".lstrip("/"), FILES[name])
        attempt(path)
    else:
        attempt(folder)


def test_links_out_of_a_folder_are_followed_and_those_of_an_archive_are_not(tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_bytes(table())
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.csv").symlink_to(outside)
    dataset: Dataset = prepare(Data.of({"path": str(tmp_path / "set")}))
    assert np.array_equal(dataset.training().images[..., 0], IMAGES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("train.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(outside))
        archive.writestr("test.csv", table())
    assert attempt(tmp_path / "a.zip") != "read"
