"""Preparing: verified once, mapped read-only, rebuilt when damaged, sealed."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from assay import data
from assay.data import TrainingData, open_training, raw_folder, read_idx, write_idx
from assay.data.prepare import prepare_entry
from assay.errors import DataError, DiskFull
from assay.spec import Data

NAMES = ["info.json", "test-images.npy", "test-labels.npy", "train-images.npy", "train-labels.npy"]


@pytest.fixture
def ready(tiny):
    tiny.put(raw_folder("tiny"))
    return tiny


def states(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


def test_arrays_are_those_of_the_raw_files(ready):
    dataset = prepare_entry(ready.entry)
    training, test = dataset.training(), dataset.test()
    assert np.array_equal(training.images[..., 0], ready.arrays[0])
    assert np.array_equal(training.labels, ready.arrays[1])
    assert np.array_equal(test.images[..., 0], ready.arrays[2])
    assert np.array_equal(test.labels, ready.arrays[3])
    assert training.images.shape == (12, 40, 50, 1)
    assert training.images.dtype == np.uint8
    assert training.labels.dtype == np.int64
    assert (len(training), len(test)) == (12, 6)
    assert sorted(path.name for path in dataset.folder.iterdir()) == NAMES


def test_arrays_are_read_only_memory_maps(ready):
    dataset = prepare_entry(ready.entry)
    for array in (dataset.training().images, dataset.training().labels, dataset.test().images, dataset.test().labels):
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_second_time_nothing_is_built_and_no_raw_file_is_needed(ready):
    first = prepare_entry(ready.entry)
    before = states(first.folder)
    for path in raw_folder("tiny").iterdir():
        path.unlink()
    second = prepare_entry(dataclasses.replace(ready.entry, title="Another title"))
    assert second.folder == first.folder
    assert states(second.folder) == before
    assert len(second.training()) == 12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["missing", "cut off", "empty"])
def test_damaged_arrays_are_built_again(ready, name, damage):
    dataset = prepare_entry(ready.entry)
    path = dataset.folder / name
    good = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(good[: len(good) // 2] if damage == "cut off" else b"")
    if name.startswith("train-images"):
        with pytest.raises(DataError) as caught:
            dataset.training()
        assert str(path) in str(caught.value)
    again = prepare_entry(ready.entry)
    assert path.read_bytes() == good
    assert np.array_equal(again.training().images[..., 0], ready.arrays[0])
    assert sorted(p.name for p in dataset.folder.iterdir()) == NAMES


def test_missing_files_are_told_with_the_place_and_the_command(ready):
    folder = raw_folder("tiny")
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError) as caught:
        prepare_entry(ready.entry)
    assert str(caught.value) == (
        f"{folder}: tiny is not here, train-labels-idx1-ubyte.gz, t10k-labels-idx1-ubyte.gz are missing; "
        "run `assay data fetch tiny`, or put them into this folder."
    )


def test_a_missing_folder_is_told_the_same_way(tiny):
    with pytest.raises(DataError, match="run `assay data fetch tiny`") as caught:
        prepare_entry(tiny.entry)
    assert all(file.name in str(caught.value) for file in tiny.entry.files)
    assert not raw_folder("tiny").exists()


def test_unpacked_files_are_taken_too(ready):
    for path in list(raw_folder("tiny").iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert np.array_equal(prepare_entry(ready.entry).training().labels, ready.arrays[1])


def test_every_wrong_file_is_told_at_once(ready, tmp_path):
    folder = raw_folder("tiny")
    wrong = folder / ready.entry.files[0].name
    write_idx(wrong, np.zeros((12, 40, 50), np.uint8))
    cut = folder / ready.entry.files[2].name
    cut.write_bytes(cut.read_bytes()[:100])
    with pytest.raises(DataError) as caught:
        prepare_entry(ready.entry)
    first, second = map(str, caught.value.problems)
    assert first.startswith(f"{wrong}: this is not the file of tiny")
    assert ready.entry.sha256[0] in first
    assert data.idx_sha256(np.zeros((12, 40, 50), np.uint8)) in first
    assert second.startswith(f"{cut}: its gzip stream is cut off")
    for sentence in (first, second):
        assert sentence.endswith("run `assay data fetch tiny`, which replaces it.")
    assert list((tmp_path / "cache" / "assay").glob("arrays/*")) == []


@pytest.mark.parametrize(
    ("number", "error", "said"),
    [
        (errno.ENOSPC, DiskFull, "no space is left on this disk"),
        (
            errno.EACCES,
            DataError,
            "this may not be written; choose another place .--store; ASSAY_CACHE for the cache., or give",
        ),
        (errno.EROFS, DataError, "this may not be written"),
        (errno.EIO, DataError, "this cannot be written"),
    ],
)
def test_a_refused_write_is_told_leaves_no_half_file_and_can_be_repeated(ready, monkeypatch, number, error, said):
    def refuse(_: int) -> None:
        raise OSError(number, "refused")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(error, match=said):
            prepare_entry(ready.entry)
    folder = data.arrays_folder(ready.entry.content)
    assert list(folder.iterdir()) == []
    assert len(prepare_entry(ready.entry).training()) == 12


def test_an_unreadable_raw_file_is_told(ready, monkeypatch):
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "refused", str(path))

    monkeypatch.setattr("assay.data.readers.idx.regular_file", refuse)
    with pytest.raises(DataError) as caught:
        prepare_entry(ready.entry)
    assert len(caught.value.problems) == 4
    assert "this may not be read" in str(caught.value)


def test_leftovers_of_a_killed_process_are_swept(ready):
    folder = data.arrays_folder(ready.entry.content)
    folder.mkdir(parents=True)
    (folder / ".train-images.npy.1-aa.tmp").write_bytes(b"half")
    prepare_entry(ready.entry)
    assert sorted(path.name for path in folder.iterdir()) == NAMES


def test_processes_at_once_do_not_break_each_other(ready):
    code = (
        "import json, sys; from assay.data import Entry; from assay.data.prepare import prepare_entry\n"
        "print(int(prepare_entry(Entry(**json.loads(sys.argv[1]))).training().images.sum()))"
    )
    command = [sys.executable, "-c", code, json.dumps(dataclasses.asdict(ready.entry))]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert set(map(int, answers)) == {int(ready.arrays[0].sum())}
    assert sorted(path.name for path in data.arrays_folder(ready.entry.content).iterdir()) == NAMES


def test_a_lock_that_stays_held_is_told(tmp_path):
    from assay.disk import locked

    path = tmp_path / "a.lock"
    with (
        locked(path),
        pytest.raises(DataError, match=r"another process has held this lock for 0\.05 seconds"),
        locked(path, timeout_seconds=0.05),
    ):
        pass
    with locked(path, timeout_seconds=0):
        assert path.exists()


def test_training_and_test_are_different_types(ready):
    dataset = prepare_entry(ready.entry)
    training, test = dataset.training(), dataset.test()
    assert not isinstance(test, TrainingData)
    assert not isinstance(training, data.TestData)
    assert set(TrainingData.__mro__) & set(data.TestData.__mro__) == {object}


def test_what_a_worker_is_told_holds_no_test_array(ready):
    dataset = prepare_entry(ready.entry)
    images, labels = dataset.training_files()
    assert np.array_equal(np.load(images)[..., 0], ready.arrays[0])
    assert np.array_equal(np.load(labels), ready.arrays[1])
    opened = open_training(images, labels)
    assert np.array_equal(opened.images, dataset.training().images)
    for pair in ((dataset.folder / "test-images.npy", labels), (images, dataset.folder / "test-labels.npy")):
        with pytest.raises(DataError, match="the test split is sealed"):
            open_training(*pair)


def test_test_images_are_handed_out_to_a_published_protocol_alone(ready):
    dataset = prepare_entry(ready.entry)
    published = Data(name="tiny", validation="test", as_published=True)
    files = dataset.published_files(published)
    assert files is not None
    test = data.open_published(*files, published)
    assert isinstance(test, data.TestData)
    assert np.array_equal(test.images, dataset.test().images)
    for fair in (Data(name="tiny"), Data(name="tiny", as_published=True), Data(name="tiny", validation="none")):
        assert dataset.published_files(fair) is None
        with pytest.raises(DataError, match="the test split is sealed"):
            data.open_published(*files, fair)


@pytest.mark.parametrize("kind", [TrainingData, data.TestData])
def test_arrays_of_another_form_are_refused(kind):
    images, labels = np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, np.int64)
    assert len(kind(images, labels)) == 3
    with pytest.raises(DataError, match=r"expected uint8 \[n, height, width, channels\]"):
        kind(images[..., 0], labels)
    with pytest.raises(DataError, match=r"images are float64"):
        kind(images.astype(np.float64), labels)
    with pytest.raises(DataError, match=r"labels are int64 \(2,\), expected int64 \[3\]"):
        kind(images, labels[:2])


def test_files_are_sought_in_the_cache_when_no_folder_is_named(ready, tmp_path, monkeypatch):
    monkeypatch.delenv("ASSAY_DATA")
    assert raw_folder("tiny") == tmp_path / "cache" / "assay" / "data" / "tiny"
    monkeypatch.setenv("ASSAY_DATA", "")
    assert raw_folder("tiny") == tmp_path / "cache" / "assay" / "data" / "tiny"
    ready.put(raw_folder("tiny"))
    assert len(prepare_entry(ready.entry).test()) == 6
    assert read_idx(raw_folder("tiny") / ready.entry.files[3].name).tolist() == [0, 1, 2, 0, 1, 2]
