"""Tables of pixels: every way to write one is read back, every mistake has its place and its fix."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from assay.data.readers.delimited import read_delimited, write_delimited
from assay.data.readers.pixels import Pixels
from assay.errors import DataError
from assay.spec import Reading

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (40, 5, 5, 1), dtype=np.uint8)
LABELS = np.arange(40) % 4


def read(path: Path, **reading: object):
    found, layout = read_delimited(path, Reading(**reading))
    return found.training, layout, found.notes


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv"])
@pytest.mark.parametrize("values", ["unit", "bytes"])
@pytest.mark.parametrize("label", ["first", "last"])
@pytest.mark.parametrize(("header", "index"), [(False, False), (True, False), (False, True), (True, True)])
def test_what_is_written_is_read(tmp_path, name, values, label, header, index):
    path = tmp_path / name
    mark = "\t" if "tsv" in name else ","
    write_delimited(path, IMAGES, LABELS, values=values, label=label, header=header, index=index, delimiter=mark)
    part, layout, _ = read(path)
    assert part.images.dtype == np.uint8
    assert np.array_equal(part.images, IMAGES)
    assert part.labels.tolist() == LABELS.tolist()
    assert (layout.has_header, layout.shape) == (header, (5, 5, 1))


def test_amat_is_read_as_its_authors_write_it(tmp_path):
    # Their values are byte / 256, between spaces, the label last.
    rows = ["   " + "  ".join(f"{v / 256:.8e}" for v in image.reshape(-1)) + f"   {label:.6e} " for image, label in
            zip(IMAGES, LABELS, strict=True)]  # fmt: skip
    (tmp_path / "a.amat").write_text("\n".join(rows) + "\n")
    part, _, notes = read(tmp_path / "a.amat")
    assert np.array_equal(part.images, IMAGES)
    assert part.labels.tolist() == LABELS.tolist()
    assert "Values are shares 0 to 1 in steps of 1/256, kept as bytes." in notes


def test_colour_and_other_shapes_are_inferred_or_given(tmp_path):
    colour = RNG.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
    write_delimited(tmp_path / "c.csv", colour, np.arange(12) % 3)
    assert np.array_equal(read(tmp_path / "c.csv")[0].images, colour)
    wide = IMAGES.reshape(40, -1)[:, :24].reshape(40, 3, 8, 1)
    write_delimited(tmp_path / "w.csv", wide, LABELS)
    with pytest.raises(DataError, match=r"its rows have 25 cells, which .* without labels|neither|25"):
        read_delimited(tmp_path / "w.csv", Reading(shape=(9, 9)))
    assert np.array_equal(read(tmp_path / "w.csv", shape=(3, 8))[0].images, wide)


def test_fine_steps_are_kept_as_float32(tmp_path):
    values = RNG.random((30, 25)).astype(np.float32)
    text = "\n".join(",".join(map(str, row)) + f",{k % 3}" for k, row in enumerate(values))
    (tmp_path / "f.csv").write_text(text)
    part, _, notes = read(tmp_path / "f.csv")
    assert part.images.dtype == np.float32
    assert np.array_equal(part.images.reshape(30, 25), values)
    assert any("float32" in note for note in notes)


def test_black_and_white_is_not_nearly_black(tmp_path):
    binary = (IMAGES > 127).astype(np.uint8)
    write_delimited(tmp_path / "b.csv", binary, LABELS, values="bytes")
    assert np.array_equal(read(tmp_path / "b.csv")[0].images, binary * 255)


def test_text_labels_and_named_columns(tmp_path):
    words = np.array(["cat", "dog", "owl", "emu"])[LABELS]
    write_delimited(tmp_path / "t.csv", IMAGES, words, header=True, label="first")
    assert read(tmp_path / "t.csv")[0].labels.tolist() == words.tolist()
    assert read(tmp_path / "t.csv", label="label")[0].labels.tolist() == words.tolist()
    with pytest.raises(DataError, match='there is no column "species"'):
        read(tmp_path / "t.csv", label="species")


def test_a_table_without_its_label_column_is_an_unlabelled_one(tmp_path):
    write_delimited(tmp_path / "train.csv", IMAGES, LABELS)
    write_delimited(tmp_path / "test.csv", IMAGES[:7], None)
    _, layout = read_delimited(tmp_path / "train.csv", Reading())
    found, _ = read_delimited(tmp_path / "test.csv", Reading(), like=layout)
    assert found.training.labels is None
    assert np.array_equal(found.training.images, IMAGES[:7])
    write_delimited(tmp_path / "other.csv", IMAGES[:7, :4, :4], None)
    with pytest.raises(DataError, match="its rows have 16 cells, and those of the training table 26"):
        read_delimited(tmp_path / "other.csv", Reading(), like=layout)


def test_doubt_about_the_label_is_told(tmp_path):
    both = IMAGES.copy()
    both.reshape(40, -1)[:, 0] = RNG.permutation(LABELS)
    write_delimited(tmp_path / "d.csv", both, LABELS, values="bytes")
    with pytest.raises(DataError, match="the first and the last column could be the label"):
        read(tmp_path / "d.csv")
    assert read(tmp_path / "d.csv", label="last")[0].labels.tolist() == LABELS.tolist()


def lines() -> list[str]:
    return [",".join(map(str, image.reshape(-1))) + f",{label}" for image, label in zip(IMAGES, LABELS, strict=True)]


def changed(row: int, column: int, cell: str) -> str:
    rows = lines()
    cells = rows[row].split(",")
    cells[column] = cell
    rows[row] = ",".join(cells)
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty"),
        (changed(6, 4, "nan"), "row 7, column 5 holds nan"),
        (changed(6, 4, ""), "row 7, column 5 is empty"),
        (changed(6, 4, "x"), "row 7, column 5 holds 'x', which is no number"),
        (changed(6, 4, "256"), "row 7 holds 256, and pixels are 0 to 255 or 0 to 1"),
        (changed(6, 4, "-1"), "row 7 holds -1"),
        (changed(6, 4, "0.5"), "some values are fractions and some are above 1"),
        (changed(6, 25, ""), "row 7 has an empty label"),
        ("\n".join([*lines()[:9], lines()[9] + ",1", *lines()[10:]]), "row 10 has 27 cells, and the first has 26"),
        ("\n".join([*lines()[:9], lines()[9][:-2], *lines()[10:]]), "row 10 has 25 cells, and the first has 26"),
        ("\n".join([*lines() * 60, "7,7"]), "row 2401 has 2 cells, and the others have 26"),
        ("1,2,3\n4,5,6", "its rows have 3 cells, which is no square of pixels and a label"),
        ("a\0b", "it holds bytes that no text has"),
    ],
)
def test_mistakes_have_a_place_and_a_fix(tmp_path, text, told):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert told in problem.what
    assert problem.file == str(path)
    assert problem.fix


def test_damaged_gzip_is_told(tmp_path):
    packed = gzip.compress("\n".join(lines() * 50).encode())
    path = tmp_path / "a.csv.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match="its gzip stream is cut off"):
        read(path)
    path.write_bytes(packed[:200] + bytes(50) + packed[250:])
    with pytest.raises(DataError, match="its gzip stream is corrupt"):
        read(path)


@pytest.mark.parametrize("kind", ["bytes", "shares", "fine", "fine at last"])
def test_rows_are_kept_in_one_array_and_no_copy_of_it(kind):
    batch = RNG.integers(0, 256, (100, 784)).astype(np.float32)
    if kind != "bytes":
        batch /= np.float32(255)
    fine = RNG.random((100, 784), dtype=np.float32)
    count, num_batches = 20_000, 200
    tracemalloc.start()
    pixels = Pixels((28, 28, 1), "here")
    for at in range(num_batches):
        is_fine = kind == "fine" or (kind == "fine at last" and at == num_batches - 1)
        pixels.add(fine if is_fine else batch, 1 + 100 * at, expected=count + (at % 3) * 100)
    images, _ = pixels.images()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert images.shape == (count, 28, 28, 1)
    assert images.dtype == (np.uint8 if kind in ("bytes", "shares") else np.float32)
    assert peak < 1.35 * images.nbytes
    last = images[-100:].reshape(100, 784)
    expected = fine if "fine" in kind else np.rint(batch * (1 if kind == "bytes" else 255)).astype(np.uint8)
    assert np.array_equal(last, expected)


@pytest.mark.parametrize("header", [True, False])
def test_a_byte_order_mark_is_no_cell(tmp_path, header):
    write_delimited(tmp_path / "a.csv", IMAGES, LABELS, header=header, label="first", values="bytes")
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.csv").read_bytes())
    part, _, _ = read(tmp_path / "a.csv")
    assert np.array_equal(part.images, IMAGES)
    assert part.labels.tolist() == LABELS.tolist()
    (tmp_path / "b.csv").write_text((tmp_path / "a.csv").read_text(), encoding="utf-16")
    with pytest.raises(DataError, match="it is text in UTF-16; save it as UTF-8"):
        read(tmp_path / "b.csv")
