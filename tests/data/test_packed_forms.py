"""Archives of tables, arrays and other archives; CIFAR's binary and pickled batches, which are never run."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.data import Dataset, prepare, write_idx
from assay.data.location import unpacked_folder
from assay.data.readers.plain_pickle import NotPlain, plain_pickle
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(223)
IMAGES = RNG.integers(0, 256, (24, 6, 6), dtype=np.uint8)
LABELS = np.arange(24) % 2
COLOUR = RNG.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
NUMBERS = np.arange(30) % 10


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data.of({"path": str(path), **values}))


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def packed(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def table(rows: slice, *, label: bool = True) -> bytes:
    lines = [",".join([*(f"p{k}" for k in range(36)), *(["label"] if label else [])])]
    for image, number in zip(IMAGES[rows], LABELS[rows], strict=True):
        lines.append(",".join(map(str, [*image.reshape(-1), *([number] if label else [])])))
    return "\n".join(lines).encode()


def numpy_file(array: np.ndarray, **more: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, x_train=array, **more) if more else np.save(file, array)
    return file.getvalue()


def idx_file(folder: Path, values: np.ndarray) -> bytes:
    write_idx(folder / "one.idx", values)
    return (folder / "one.idx").read_bytes()


def check(dataset: Dataset, num_training: int = 16) -> None:
    assert np.array_equal(dataset.training().images[..., 0], IMAGES[:num_training])
    assert np.array_equal(dataset.training().labels, LABELS[:num_training])
    assert dataset.info.num_test == 24 - num_training
    if num_training < 24:
        assert np.array_equal(dataset.test().images[..., 0], IMAGES[num_training:])
    assert not list(unpacked_folder().glob("*"))
    assert "unpacked" not in repr(dataset.info)


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize("form", ["tables", "npz", "npy", "idx", "images"])
@pytest.mark.parametrize("top", ["", "data/"])
def test_archives_of_tables_and_arrays(tmp_path, ending, form, top):
    train, test = slice(16), slice(16, 24)
    if form == "tables":
        files = {"train.csv": table(train), "test.csv": table(test), "readme.txt": b"x"}
    elif form == "npz":
        more = {"y_train": LABELS[train], "x_test": IMAGES[test], "y_test": LABELS[test]}
        files = {"d.npz": numpy_file(IMAGES[train], **more)}
    elif form == "npy":
        arrays = {"x_train": IMAGES[train], "y_train": LABELS[train], "x_test": IMAGES[test], "y_test": LABELS[test]}
        files = {f"{name}.npy": numpy_file(array) for name, array in arrays.items()}
    elif form == "idx":
        files = {}
        for side, rows in (("train", train), ("t10k", test)):
            files[f"{side}-images-idx3-ubyte"] = idx_file(tmp_path, IMAGES[rows])
            files[f"{side}-labels-idx1-ubyte"] = idx_file(tmp_path, LABELS[rows].astype(np.uint8))
    else:  # Kaggle's: tables of ids beside the folders of their images
        files = {f"{'train' if k < 16 else 'test'}/{k:02}.png": png(image) for k, image in enumerate(IMAGES)}
        for side, rows in (("train", train), ("test", test)):
            lines = [f"{k:02},{LABELS[k]}" for k in range(24)[rows]]
            files[f"{side}.csv"] = "\n".join(["id,label", *lines]).encode()
        files["sample_submission.csv"] = b"id,label\n16,0"
    check(own(packed(tmp_path / f"a{ending}", {top + name: content for name, content in files.items()})))


def test_archives_in_an_archive_and_their_folders(tmp_path):
    def inner(side: str, rows: range) -> bytes:
        path = packed(tmp_path / f"{side}.zip", {f"{side}/{k}.png": png(IMAGES[k]) for k in rows})
        return path.read_bytes()

    files = {"train.zip": inner("train", range(16)), "test.zip": inner("test", range(16, 24))}
    for side, rows in (("train", range(16)), ("test", range(16, 24))):
        files[f"{side}_labels.csv"] = "\n".join(["id,label", *(f"{k}.png,{LABELS[k]}" for k in rows)]).encode()
    check(own(packed(tmp_path / "competition.zip", files)))


def test_teachable_machine_packs_each_class(tmp_path):
    folder = tmp_path / "samples"
    folder.mkdir()
    for name, number in (("cat", 0), ("dog", 1)):
        files = {f"{k}.png": png(image) for k, image in enumerate(IMAGES[number == LABELS])}
        packed(folder / f"{name}-samples.zip", files)
    dataset = own(folder)
    assert dataset.info.classes == ("cat", "dog")
    first = {image.tobytes() for image in dataset.training().images[dataset.training().labels == 0]}
    assert first == {image.tobytes() for image in IMAGES[LABELS == 0]}


def test_hostile_archives_are_refused_and_nothing_is_left(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r'its member "\.\./train.csv" leads out of the archive'):
        own(packed(tmp_path / "a.zip", {"../train.csv": table(slice(16))}))
    packed(tmp_path / "b.zip", {"train.csv": bytes(64 << 20)})
    with pytest.raises(DataError, match=r"b\.zip.*: "):
        own(tmp_path / "b.zip")
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        info = tarfile.TarInfo("train.csv")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match=r"c\.tar"):
        own(tmp_path / "c.tar")
    content = packed(tmp_path / "d.zip", {"train.csv": table(slice(16))}).read_bytes()
    (tmp_path / "d.zip").write_bytes(content[:60] + bytes(90) + content[150:])
    with pytest.raises(DataError, match=r"d\.zip: it is damaged"):
        own(tmp_path / "d.zip")
    monkeypatch.setattr("assay.data.readers.unpacked._KEPT_FREE", 1 << 60)
    packed(tmp_path / "e.zip", {"train.csv": table(slice(16))})
    with pytest.raises(DataError, match=r"e\.zip: unpacked it takes more than .* the cache's disk has free"):
        own(tmp_path / "e.zip")
    assert not list(unpacked_folder().iterdir())


def cifar(folder: Path, form: str) -> Path:
    """CIFAR-10's files as their makers wrote them: a plane of each colour after the other."""
    planes = COLOUR.transpose(0, 3, 1, 2).reshape(30, -1)
    folder.mkdir(parents=True)
    for name, rows in (("data_batch_1", slice(12)), ("data_batch_2", slice(12, 20)), ("test_batch", slice(20, 30))):
        if form == "bin":
            (folder / f"{name}.bin").write_bytes(np.column_stack([NUMBERS[rows], planes[rows]]).astype("u1").tobytes())
        else:
            values = {"data": planes[rows], "labels": NUMBERS[rows].tolist(), "batch_label": name, "filenames": ["a"]}
            values = {key.encode(): value for key, value in values.items()} if form == "python 3" else values
            (folder / name).write_bytes(pickle.dumps(values, protocol=2 if form == "python 2" else 4))
    words = [f"kind{k}" for k in range(10)]
    if form == "bin":
        (folder / "batches.meta.txt").write_text("\n".join([*words, ""]))
    else:
        (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": words}, protocol=2))
    return folder


@pytest.mark.parametrize("form", ["bin", "python 2", "python 3"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_cifar_10(tmp_path, form, is_packed):
    path = cifar(tmp_path / "cifar-10", form)
    if is_packed:
        files = {f"cifar-10/{file.name}": file.read_bytes() for file in path.iterdir()}
        path = packed(tmp_path / "cifar-10.tar.gz", files)
    dataset = own(path)
    assert np.array_equal(dataset.training().images, COLOUR[:20])
    assert np.array_equal(dataset.training().labels, NUMBERS[:20])
    assert np.array_equal(dataset.test().images, COLOUR[20:])
    assert dataset.info.classes[3] == "kind3"


@pytest.mark.parametrize("form", ["bin", "python"])
@pytest.mark.parametrize("kind", ["fine", "coarse"])
def test_cifar_100(tmp_path, form, kind):
    planes = COLOUR.transpose(0, 3, 1, 2).reshape(30, -1)
    coarse = NUMBERS // 2
    for name, rows in (("train", slice(20)), ("test", slice(20, 30))):
        if form == "bin":
            columns = [coarse[rows], NUMBERS[rows], planes[rows]]
            (tmp_path / f"{name}.bin").write_bytes(np.column_stack(columns).astype("u1").tobytes())
        else:
            values = {
                "data": planes[rows],
                "fine_labels": NUMBERS[rows].tolist(),
                "coarse_labels": coarse[rows].tolist(),
            }
            (tmp_path / name).write_bytes(pickle.dumps(values, protocol=2))
    if form == "python":
        names = {"fine_label_names": list("abcdefghij"), "coarse_label_names": list("vwxyz")}
        (tmp_path / "meta").write_bytes(pickle.dumps(names, protocol=2))
    dataset = own(tmp_path, **({"read": {"label": "coarse"}} if kind == "coarse" else {}))
    assert np.array_equal(dataset.training().labels, (coarse if kind == "coarse" else NUMBERS)[:20])
    assert np.array_equal(dataset.test().images, COLOUR[20:])
    assert any(f"The {kind} labels are taken" in note for note in dataset.info.notes)


class Mine:
    def __reduce__(self):
        return (os.system, ("touch run-by-a-pickle",))


@pytest.mark.parametrize("value", [Mine(), {"data": Mine(), "labels": [1]}, [np.array([Mine()], dtype=object)], {1, 2}])
def test_pickles_are_never_run(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    for protocol in range(6):
        with pytest.raises(NotPlain):
            plain_pickle(pickle.dumps(value, protocol=protocol))
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match=r"data_batch_1: it .*; give CIFAR's own file"):
        own(tmp_path / "data_batch_1")
    assert not (tmp_path / "run-by-a-pickle").exists()


def test_plain_pickles_are_read_as_python_reads_them():
    value = {"a": [1, 2.5, "x", None, True, (3, 4, 5, 6)], "b": np.arange(6, dtype=">i2").reshape(2, 3),
             "c": b"\x80\xff", "f": np.asfortranarray(np.eye(3, 2, dtype="f4")), 7: {"n": []}}  # fmt: skip
    for protocol in range(5):
        result = plain_pickle(pickle.dumps(value, protocol=protocol))
        assert result.keys() == value.keys()
        assert (result["a"], result["c"], result[7]) == (value["a"], value["c"], value[7])
        for name in ("b", "f"):
            assert result[name].dtype == value[name].dtype
            assert np.array_equal(result[name], value[name])


def test_archives_in_an_archive_hold_no_more_than_it_could(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(40):
            archive.writestr(f"{k}.csv", bytes(1 << 20))
    files = {f"{k}.zip": inner.getvalue() for k in range(20)}
    path = packed(tmp_path / "bomb.zip", files)
    assert path.stat().st_size * 1032 < 800 << 20
    with pytest.raises(DataError, match=r"bomb\.zip, .*its members declare more bytes than its .* can hold"):
        own(path)
    assert not list(unpacked_folder().iterdir())


def test_images_in_parts_belong_to_the_table_beside_them(tmp_path):
    folder = tmp_path / "skin"
    for k, image in enumerate(IMAGES):
        part = folder / f"images_part_{1 + k // 12}"
        part.mkdir(parents=True, exist_ok=True)
        (part / f"ISIC_{k:04}.png").write_bytes(png(image))
    rows = [f"HAM_{k // 2},ISIC_{k:04},{'ab'[LABELS[k]]}" for k in range(24)]
    (folder / "metadata.csv").write_text("\n".join(["lesion_id,image_id,dx", *rows]))
    with pytest.raises(DataError, match=r"2 columns may be the label; name it: .* one of lesion_id, dx"):
        own(folder)
    dataset = own(folder, read={"label": "dx"}, groups="lesion_id")
    check(dataset, 24)
    assert len(np.unique(dataset.training().groups)) == 12
    assert any("in images_part_1 and in images_part_2 and end in .png" in note for note in dataset.info.notes)


def test_what_a_competition_has_beside_its_table_is_named(tmp_path):
    files = {f"{'train' if k < 16 else 'test'}/{k:02}.png": png(image) for k, image in enumerate(IMAGES)}
    files["train.csv"] = "\n".join(["id,breed", *(f"{k:02},{LABELS[k]}" for k in range(16))]).encode()
    files["sample_submission.csv"] = b"id,a,b\n16,0.5,0.5"
    dataset = own(packed(tmp_path / "a.zip", files))
    notes = " ".join(dataset.info.notes)
    assert "Tables that are left out: sample_submission.csv." in notes
    assert "Folders of images that no table names are left out: test." in notes


def test_remedies_for_what_is_not_read(tmp_path):
    with pytest.raises(DataError, match="a project of Teachable Machine without its sample images; choose Download"):
        own(packed(tmp_path / "p.zip", {"manifest.json": b"{}", "weights.bin": b"x"}).rename(tmp_path / "p.tm"))
    (tmp_path / "x.7z").write_bytes(b"7z")
    with pytest.raises(DataError, match="an archive of a kind that is not read; unpack it"):
        own(tmp_path / "x.7z")
    files = {f"train/images/{k}.png": png(image) for k, image in enumerate(IMAGES)}
    files |= {f"train/labels/{k}.txt": b"0 0.5 0.5 0.1 0.1" for k in range(24)}
    with pytest.raises(DataError, match=r"boxes or outlines \(object detection\)"):
        own(packed(tmp_path / "d.zip", files))
