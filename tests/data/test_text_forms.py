"""libsvm, ARFF and UCI's tables: pixels and labels as scikit-learn and SciPy read them."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy.io import arff
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from assay.data import Dataset, prepare
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(239)
IMAGES = RNG.integers(0, 256, (30, 6, 6), dtype=np.uint8)
IMAGES[:, 0, :3] = 0
IMAGES[:, 5, 4:] = 0
IMAGES[0, 0, 0] = 7  # scikit-learn counts from 1 then
LABELS = np.arange(30) % 3


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data.of({"path": str(path), **values}))


def check(dataset: Dataset, rows: slice = slice(None)) -> None:
    assert np.array_equal(dataset.training().images[..., 0], IMAGES[rows])
    assert np.array_equal(np.asarray(dataset.info.classes)[dataset.training().labels], LABELS[rows].astype(str))


def svm(path: Path, rows: slice, scale: float = 1.0) -> Path:
    dump_svmlight_file(IMAGES[rows].reshape(-1, 36) * scale, LABELS[rows], str(path), zero_based=False)
    return path


@pytest.mark.parametrize("name", ["digits", "digits.libsvm", "digits.txt", "digits.scale.bz2", "digits.gz"])
def test_libsvm_with_and_without_endings(tmp_path, name):
    content = svm(tmp_path / "plain", slice(30)).read_bytes()
    pack = {".bz2": bz2.compress, ".gz": gzip.compress}.get(Path(name).suffix, bytes)
    (tmp_path / name).write_bytes(pack(content))
    dataset = own(tmp_path / name)
    check(dataset)
    assert np.array_equal(
        load_svmlight_file(str(tmp_path / "plain"))[0].toarray()[:, :34], IMAGES.reshape(-1, 36)[:, :34]
    )
    assert any("The last pixel that is not 0 is number 34; images are taken as 6 x 6" in n for n in dataset.info.notes)


def test_libsvms_test_files_have_the_training_files_shape(tmp_path):
    svm(tmp_path / "digits", slice(20))
    fewer = np.ascontiguousarray(IMAGES[20:].reshape(-1, 36)[:, :20], dtype=float)
    dump_svmlight_file(fewer, LABELS[20:], str(tmp_path / "digits.t"), zero_based=False)
    dataset = own(tmp_path / "digits", test=str(tmp_path / "digits.t"))
    check(dataset, slice(20))
    assert np.array_equal(dataset.test().images.reshape(10, 36)[:, :20], IMAGES[20:].reshape(-1, 36)[:, :20])


def test_libsvms_values_from_minus_one_to_one(tmp_path):
    dump_svmlight_file(IMAGES.reshape(-1, 36) / 127.5 - 1, LABELS, str(tmp_path / "usps"), zero_based=False)
    dataset = own(tmp_path / "usps")
    assert np.array_equal(dataset.training().images[..., 0], IMAGES)
    assert "Values are -1 to 1, taken as black to white." in dataset.info.notes


def test_libsvm_that_is_refused(tmp_path):
    (tmp_path / "a").write_text("1,3 1:0.5 2:0.5\n2 1:0.5 3:1\n")
    with pytest.raises(DataError, match=r"a row has the labels 1,3; .*\(multi-label\) are not read"):
        own(tmp_path / "a")
    (tmp_path / "b").write_text("1 1:0.5 2:0.5\n2 5:0.5 3:x\n")
    with pytest.raises(DataError, match="it holds something else than rows of a label and pixels"):
        own(tmp_path / "b")
    (tmp_path / "c").write_text("1 1:0.5 999999999:0.5\n2 1:0.5 3:1\n")
    with pytest.raises(DataError, match="a row has pixel 999,999,999, and 40 x 40 are 1,600"):
        own(tmp_path / "c", read={"shape": [40, 40]})


@pytest.mark.parametrize("form", ["dense", "sparse", "gzip"])
def test_arff(tmp_path, form):
    lines = ["% made for a test", "@RELATION 'digits of ours'", "",
             *(f"@attribute 'pixel {k}' numeric" for k in range(36)),
             "@ATTRIBUTE class {0,1,'2'}", "@data"]  # fmt: skip
    for image, label in zip(IMAGES.reshape(-1, 36), LABELS, strict=True):
        cells = [*map(str, image), str(label)]
        if form == "sparse":
            lines.append("{" + ", ".join(f"{k} {cell}" for k, cell in enumerate(cells) if cell != "0") + "}")
        else:
            lines.append(",".join(cells))
    text = "\n".join(lines)
    path = tmp_path / ("a.arff.gz" if form == "gzip" else "a.arff")
    path.write_bytes(gzip.compress(text.encode()) if form == "gzip" else text.encode())
    check(own(path))
    if form == "dense":
        table, _ = arff.loadarff(str(path))
        assert np.array_equal(np.array([[row[k] for k in range(36)] for row in table]), IMAGES.reshape(-1, 36))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["@attribute a numeric", "@attribute b {x,y}"], "it has no line @data"),
        (["@attribute a date", "@attribute b {x,y}", "@data", "1,x"], "2 attributes may be the label: a, b"),
        (["@attribute a numeric", "@attribute b {x,y}", "@data", "?,x"], r'row 1 holds "\?", which is no number'),
        (["@attribute a numeric", "@attribute b {x,y}", "@data", "1,?"], "row 1 has no label"),
        (["@attribute a numeric", "@attribute b {x,y}", "@data", "1,x,3"], "row 1 has 3 cells, and there are 2 attrib"),
        (["@attribute a numeric", "@attribute b {x,y}", "@data", "{7 1}"], 'row 1 holds "7 1", and pairs'),
        (["anything"], 'its header has the line "anything"'),
    ],
)
def test_arff_that_is_refused(tmp_path, lines, message):
    (tmp_path / "a.arff").write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        own(tmp_path / "a.arff")


def rows(images: np.ndarray, labels: np.ndarray) -> str:
    return "\n".join(",".join(map(str, [*image, label])) for image, label in zip(images, labels, strict=True))


def test_ucis_endings(tmp_path):
    flat = IMAGES.reshape(-1, 36)
    (tmp_path / "uci").mkdir()
    (tmp_path / "uci" / "optdigits.tra").write_text(rows(flat[:20], LABELS[:20]))
    (tmp_path / "uci" / "optdigits.tes").write_text(rows(flat[20:], LABELS[20:]))
    (tmp_path / "uci" / "optdigits.names").write_text("Sources: us")
    dataset = own(tmp_path / "uci")
    check(dataset, slice(20))
    assert np.array_equal(dataset.test().images[..., 0], IMAGES[20:])
    (tmp_path / "letters.data").write_text(rows(flat, LABELS))
    check(own(tmp_path / "letters.data"))


@pytest.mark.parametrize("mark", [" ", ","])
@pytest.mark.parametrize("place", ["first", "last"])
def test_pixels_with_one_hot_columns(tmp_path, mark, place):
    marks = np.eye(3, dtype=int)[LABELS]
    flat = IMAGES.reshape(-1, 36)
    table = np.column_stack([marks, flat] if place == "first" else [flat, marks])
    (tmp_path / "semeion.data").write_text("\n".join(mark.join(map(str, row)) for row in table) + "\n")
    dataset = own(tmp_path / "semeion.data")
    check(dataset)
    assert f"The {place} 3 columns are one-hot: each is a class (0, 1, 2)." in dataset.info.notes
    names = ["ant", "bee", "cow"]
    pixels = [f"p{k}" for k in range(36)]
    header = [*names, *pixels] if place == "first" else [*pixels, *names]
    (tmp_path / "named.csv").write_text("\n".join(",".join(map(str, row)) for row in [header, *table.tolist()]))
    named = own(tmp_path / "named.csv")
    assert named.info.classes == ("ant", "bee", "cow")
    assert np.array_equal(named.training().labels, LABELS)
