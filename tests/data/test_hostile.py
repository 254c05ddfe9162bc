"""Damaged and hostile files: one sentence, no other error, no memory beyond what the file can hold."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import tracemalloc
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from assay.data import write_idx
from assay.data.readers.delimited import write_delimited
from assay.data.readers.folders import write_tree
from assay.data.readers.npy import write_npz
from assay.data.readers.parquet import write_parquet
from assay.data.sources import content_of, read_path
from assay.errors import DataError, SpecError
from assay.spec import Data, Reading

RNG = np.random.default_rng(47)
IMAGES = RNG.integers(0, 256, (12, 5, 5, 1), dtype=np.uint8)
LABELS = np.arange(12) % 3
NAMES = ("a.csv", "a.csv.gz", "a.tsv", "a.amat", "a.npz", "a.npy", "a.parquet", "a.zip", "a.tar", "a.tar.gz",
         "a-images-idx3-ubyte", "a-images-idx3-ubyte.gz")  # fmt: skip
MOST_BYTES = 64 << 20


def bounded(examples: int) -> settings:
    """So many examples, the same ones every time."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def archived(folder: Path, path: Path) -> None:
    write_tree(folder / "tree", IMAGES, LABELS, ("a", "b", "c"))
    files = sorted(file for file in (folder / "tree").rglob("*.png"))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder / "tree"))
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
            for file in files:
                archive.add(file, file.relative_to(folder / "tree"))


@cache
def good(name: str, folder: Path) -> bytes:
    """An intact file of each form."""
    path = folder / name
    if ".zip" in name or ".tar" in name:
        archived(folder / name.replace(".", "-"), path)
    elif "csv" in name or "tsv" in name or "amat" in name:
        mark = {".tsv": "\t", ".amat": " "}.get(path.suffix, ",")
        write_delimited(path, IMAGES, LABELS, delimiter=mark)
    elif name == "a.npz":
        write_npz(path, {"x_train": IMAGES, "y_train": LABELS})
    elif name == "a.npy":
        np.save(path, IMAGES)
    elif name == "a.parquet":
        write_parquet(path, IMAGES, LABELS, ("a", "b", "c"))
    else:
        write_idx(path, IMAGES[..., 0])
    return path.read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name in NAMES:
        if ".zip" in name or ".tar" in name:
            (folder / name.replace(".", "-")).mkdir()
        good(name, folder)
    write_idx(folder / "a-labels-idx1-ubyte", LABELS.astype(np.uint8))
    np.save(folder / "labels.npy", LABELS)
    return folder


def attempt(path: Path) -> str:
    """Reads a file to the end: "read", or the sentence that refuses it."""
    reading = Reading(labels="labels.npy") if path.suffix == ".npy" else Reading()
    try:
        content_of(read_path(path, reading), test=0.5, classes=None, place=str(path)).sha256()
    except (DataError, SpecError) as error:
        told = error.problems
    else:
        return "read"
    assert all("\n" not in str(problem) and problem.what for problem in told)
    return str(told[0])


def damaged(intact: bytes, data: st.DataObject) -> bytes:
    """One to four bytes or numbers changed, put in, or all from there on cut off."""
    content = bytearray(intact)
    where = st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "number"]))
        at = min(data.draw(where), max(0, len(content) - 1))
        if kind == "flip" and content:
            content[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=9))
        else:
            content[at : at + 4] = struct.pack(data.draw(st.sampled_from("<>")) + "I", data.draw(st.sampled_from(
                [0, 1, 2**16, 2**31 - 1, 2**32 - 1])))  # fmt: skip
    return bytes(content)


@pytest.mark.parametrize("name", NAMES)
def test_intact_files_are_read(place, name):
    (place / name).write_bytes(good(name, place))
    assert attempt(place / name) == "read"


@pytest.mark.parametrize("name", NAMES)
@bounded(30)
@given(data=st.data())
def test_damage_is_read_or_refused_and_takes_no_memory(place, name, data):
    (place / name).write_bytes(damaged(good(name, place), data))
    tracemalloc.start()
    try:
        attempt(place / name)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
@bounded(15)
@given(
    content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
)
def test_files_of_anything_are_refused(place, name, content):
    (place / name).write_bytes(content)
    assert attempt(place / name) != "read"


TABLE = st.lists(
    st.lists(
        st.sampled_from(["0", "1", "0.5", "255", "256", "-1", "nan", "", "x", '"', "1e400", "label", " 7 "]), max_size=7
    ),
    max_size=6,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(rows=TABLE, mark=st.sampled_from([",", "\t", ";", " "]), end=st.sampled_from(["\n", "\r\n", ""]))
def test_tables_of_any_cells_are_read_or_refused(place, rows, mark, end):
    (place / "any.csv").write_text(end.join(mark.join(row) for row in rows))
    attempt(place / "any.csv")


def npy_header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_declared_sizes_that_are_absurd_are_refused_before_memory_is_taken(tmp_path):
    huge = (1_000_000, 1000, 1000)
    files = {
        "a-images-idx3-ubyte": struct.pack(">HBB3I", 0, 8, 3, *huge) + bytes(99),
        "a.npy": npy_header(huge) + bytes(99),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", npy_header(huge) + bytes(1 << 20))
    tracemalloc.start()
    for name in (*files, "a.npz"):
        with pytest.raises(DataError, match="it declares 1000000 x 1000 x 1000 values"):
            read_path(tmp_path / name, Reading(labels="a.npy") if name == "a.npy" else Reading())
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "a.npy", "a.parquet", "a.zip", "a.tar", "train-images-idx3-ubyte"])
def test_pipes_and_devices_are_no_data(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="this is a pipe; give a file"):
        read_path(tmp_path / name, Reading())
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(DataError, match="this is a device; give a file"):
        read_path(tmp_path / name, Reading())


def test_a_pipe_among_pictures_is_no_picture(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    write_tree(tmp_path / "tree", images, np.array([0, 0, 1, 1]), ("a", "b"))
    picture = next((tmp_path / "tree").rglob("*.png"))
    picture.unlink()
    os.mkfifo(picture)
    with pytest.raises(DataError, match="this is a pipe"):
        read_path(tmp_path / "tree", Reading())


def test_parquet_that_declares_more_than_images_can_be_is_refused_before_memory_is_taken(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"image": pa.array([bytes(16 << 20)] * 4), "label": pa.array([0, 1] * 2)})
    parquet.write_table(table, tmp_path / "bomb.parquet", compression="zstd")
    del table
    before = pa.default_memory_pool().bytes_allocated()
    with pytest.raises(DataError, match=r"it declares .* and its .* packed bytes cannot hold that many"):
        read_path(tmp_path / "bomb.parquet", Reading())
    assert pa.default_memory_pool().bytes_allocated() <= before + (1 << 20)


def test_more_than_free_memory_is_refused(monkeypatch):
    import psutil

    from assay.data.readers.limits import refuse_size

    free = psutil.virtual_memory()._replace(available=1 << 30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    refuse_size(1 << 30, "here")
    with pytest.raises(DataError, match=r"here: its images take 2\.0 GiB, and 1\.0 GiB of memory are free"):
        refuse_size(1 << 31, "here")


def test_pickles_are_never_read(tmp_path):
    class Mine:
        def __reduce__(self):
            return (print, ("run",))

    np.savez(tmp_path / "a.npz", x_train=np.array([Mine()], dtype=object), y_train=np.zeros(1))
    with pytest.raises(DataError, match="pickled objects are never read"):
        read_path(tmp_path / "a.npz", Reading())


FORMATS = {"png": {}, "jpg": {}, "bmp": {}, "gif": {}, "webp": {}, "tif": {"compression": "tiff_lzw"}, "ppm": {}}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of colour images in each format, and lists of their files."""
    folder = tmp_path_factory.mktemp("pictures")
    for form, how in FORMATS.items():
        for at in range(4):
            path = folder / form / "ab"[at % 2] / f"{at}.{form}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RNG.integers(0, 256, (7, 7, 3), dtype=np.uint8)).save(path, **how)
    return folder


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("form", FORMATS)
@bounded(40)
@given(data=st.data())
def test_damaged_pictures_are_read_left_out_or_refused(pictures, form, skip_bad, data):
    path = pictures / form / "a" / f"0.{form}"
    intact = path.read_bytes()
    try:
        path.write_bytes(damaged(intact, data))
        tracemalloc.start()
        try:
            found = read_path(pictures / form, Reading(skip_bad=skip_bad, size=(7, 7)))
            assert len(found.training.images) in (3, 4)
            assert found.training.images.shape[1:] == (7, 7, 3)
        except DataError as refused:
            told = refused.problems
            assert not skip_bad
            assert len(told) == 1
            assert f"1 of 4 files is no image: a/0.{form}" in told[0].what
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
        path.write_bytes(intact)


@bounded(100)
@given(
    rows=st.lists(
        st.lists(
            st.sampled_from(["file", "label", "split", "png/a/0.png", "png/b/1.png", "../x.png", "/etc/passwd.png", "a",
                             "b", "train", "test", "", '"', "p1"]),
            max_size=4,
        ),
        max_size=7,
    ),
    mark=st.sampled_from([",", "\t", ";"]),
    groups=st.sampled_from([None, "label", "split", "folder", {"before": "/"}]),
)  # fmt: skip
def test_lists_of_any_cells_are_read_or_refused(pictures, rows, mark, groups):
    path = pictures / "list.csv"
    path.write_text("\n".join(["file,label,split".replace(",", mark), *(mark.join(row) for row in rows)]))
    told = None if groups is None else Data(path="x", groups=groups).groups
    try:
        found = read_path(path, Reading(), told)
        content_of(found, test=None, classes=None, place="list", groups=told).sha256()
    except (DataError, SpecError) as refused:
        outcome = refused.problems
        assert all("\n" not in str(problem) and problem.what for problem in outcome)
    else:
        assert len(found.training.images) > 1


@bounded(60)
@given(data=st.data())
def test_groups_of_damaged_tables_are_read_or_refused(place, data):
    lines = [f"p{at // 4}," + ",".join(map(str, image.reshape(-1))) + f",{at % 3}" for at, image in enumerate(IMAGES)]
    header = ",".join(["who", *(f"pixel{k}" for k in range(25)), "label"])
    path = place / "groups.csv"
    path.write_bytes(damaged("\n".join([header, *lines]).encode(), data))
    told = Data(path="x", groups="who").groups
    try:
        content = content_of(read_path(path, Reading(), told), test=0.5, classes=None, place="x", groups=told)
    except (DataError, SpecError) as refused:
        content, outcome = None, refused.problems
        assert all("\n" not in str(problem) and problem.what for problem in outcome)
    if content is not None:
        assert content.groups is not None
        assert len(content.groups) == len(content.training[0])


@pytest.mark.parametrize("name", ["a-images-idx3-ubyte.gz", "a.csv.gz"])
def test_what_unpacks_to_more_than_free_memory_is_refused(tmp_path, monkeypatch, name):
    import psutil

    free = psutil.virtual_memory()._replace(available=1 << 20)
    monkeypatch.setattr("assay.data.readers.limits._ALWAYS_BYTES", 1 << 20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    if "idx" in name:
        content = struct.pack(">HBB3I", 0, 8, 3, 4000, 28, 28) + bytes(4000 * 784)
    else:
        content = b"".join(b"0," * 784 + b"%d\n" % (at % 3) for at in range(4000))
    (tmp_path / name).write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=r"its images take 0\.0 GiB, and 0\.0 GiB of memory are free; give fewer or sm"):
        read_path(tmp_path / name, Reading())


def test_a_packed_list_of_files_is_read(pictures):
    rows = "file,label\n" + "".join(f"png/{'ab'[at % 2]}/{at}.png,{at % 2}\n" for at in range(4))
    (pictures / "list.csv.gz").write_bytes(gzip.compress(rows.encode()))
    assert len(read_path(pictures / "list.csv.gz", Reading()).training.images) == 4
    (pictures / "list.csv.gz").write_bytes(gzip.compress(rows.encode())[:-6])
    with pytest.raises(DataError, match="its gzip stream is damaged"):
        read_path(pictures / "list.csv.gz", Reading())
