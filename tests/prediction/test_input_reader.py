"""Images from any source come out as the network was trained on them, or are refused in one sentence."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from assay.data.readers import delimited
from assay.data.readers.delimited import write_delimited
from assay.data.readers.idx import write_idx
from assay.errors import DataError
from assay.prediction import InputReader, sources

SHAPE = (6, 5, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (23, *SHAPE), dtype=np.uint8)


def read(*paths: Path, shape: tuple[int, int, int] = SHAPE, dtype: str = "uint8", **options: Any) -> Any:
    extra = options.pop("extra", None)
    reader = InputReader(shape, dtype, **options)
    batches = list(reader.files(paths, extra=extra))
    names = [name for batch in batches for name in batch.names or ()]
    return np.concatenate([batch.images for batch in batches]), names, reader.notes


def png(image: NDArray[np.uint8]) -> bytes:
    target = io.BytesIO()
    Image.fromarray(image.squeeze()).save(target, "PNG")
    return target.getvalue()


def write_folder(path: Path) -> None:
    for number, image in enumerate(IMAGES):
        place = path / f"part{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:02}.png").write_bytes(png(image))
    (path / "notes.txt").write_text("no image")


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number, image in enumerate(IMAGES):
            archive.writestr(f"part{number % 2}/{number:02}.png", png(image))


def write_table(path: Path, **options: Any) -> None:
    write_delimited(path, IMAGES, options.pop("labels", None), **{"values": "bytes", **options})


LABELLED = "csv with a header and labels"
FLAT = IMAGES.reshape(len(IMAGES), -1)
SOURCES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "idx": ("a.idx", lambda path: write_idx(path, IMAGES[..., 0])),
    "gzipped idx": ("a-idx3-ubyte.gz", lambda path: write_idx(path, IMAGES[..., 0])),
    "npz": ("a.npz", lambda path: np.savez(path, x_test=IMAGES[..., 0], y_test=np.arange(23))),
    "packed npz": ("a.npz", lambda path: np.savez_compressed(path, anything=FLAT)),
    "npy": ("a.npy", lambda path: np.save(path, IMAGES)),
    "npy in Fortran's order": ("a.npy", lambda path: np.save(path, np.asfortranarray(IMAGES))),
    "npz in Fortran's order": ("a.npz", lambda path: np.savez(path, x=np.asfortranarray(IMAGES[..., 0]))),
    "npy of 16-bit integers": ("a.npy", lambda path: np.save(path, IMAGES.astype(np.int16))),
    "npy of shares": ("a.npy", lambda path: np.save(path, IMAGES / 255)),
    "npy, channels first": ("a.npy", lambda path: np.save(path, IMAGES.transpose(0, 3, 1, 2))),
    "csv": ("a.csv", write_table),
    "gzipped csv": ("a.csv.gz", write_table),
    "csv with a header": ("a.csv", lambda path: write_table(path, header=True)),
    LABELLED: (
        "a.csv",
        lambda path: write_table(path, header=True, labels=np.arange(23), label="first"),
    ),
    "csv of shares": ("a.csv", lambda path: write_table(path, values="unit")),
    "amat": ("a.amat", lambda path: write_table(path, values="amat", delimiter=" ")),
    "tsv": ("a.tsv", lambda path: write_table(path, delimiter="\t")),
    "folder": ("a", write_folder),
    "zip of images": ("a.zip", write_zip),
}


@pytest.mark.parametrize("chunk", [1 << 23, 300], ids=["at once", "in small parts"])
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_images(
    source: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", chunk)
    monkeypatch.setattr(sources, "_PICTURES", max(1, chunk // 30))
    name, write = SOURCES[source]
    write(tmp_path / name)
    found, names, notes = read(tmp_path / name)
    expected = IMAGES
    if source in ("folder", "zip of images"):
        expected = np.concatenate([IMAGES[::2], IMAGES[1::2]])
        assert names == [f"part{k % 2}/{k:02}.png" for k in [*range(0, 23, 2), *range(1, 23, 2)]]
    np.testing.assert_array_equal(found, expected)
    unused = {"npz": "Of a.npz x_test is used; y_test are not.", LABELLED: "The labels in a.csv are not used."}
    assert notes == ((unused[source],) if source in unused else ())


def test_one_column_may_name_the_rows(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", header=True, index=True)
    assert read(tmp_path / "a.csv")[1] == [str(number) for number in range(23)]
    write_table(tmp_path / "b.csv", labels=np.full(23, 7), label="last")
    np.testing.assert_array_equal(read(tmp_path / "b.csv", extra="last")[0], IMAGES)


def test_values_finer_than_bytes_are_those_of_a_test_split(tmp_path: Path) -> None:
    shares = np.random.default_rng(1).uniform(size=(9, 6, 5)).astype(np.float32)
    np.save(tmp_path / "a.npy", shares)
    np.testing.assert_array_equal(read(tmp_path / "a.npy")[0][..., 0], np.rint(shares * 255))
    np.testing.assert_array_equal(read(tmp_path / "a.npy", dtype="float32")[0][..., 0], shares)
    write_idx(tmp_path / "a.idx", IMAGES[..., 0])
    np.testing.assert_allclose(read(tmp_path / "a.idx", dtype="float32")[0], IMAGES / 255, rtol=1e-6)


@pytest.mark.parametrize("late", ["bytes", "black and white", "16 bits"])
def test_what_numbers_stand_for_is_decided_by_all_of_them(
    late: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "CHUNK_BYTES", 60)
    images = np.random.default_rng(2).integers(0, 2, (9, 6, 5)).astype(np.uint16)  # those that come first: 0 and 1
    expected = images.astype(float)
    if late == "bytes":
        images[7, 2] = expected[7, 2] = 200
    elif late == "16 bits":
        images[7, 2] = expected[7, 2] = 50_000
        expected = np.rint(expected / 65535 * 255)
    else:
        expected *= 255
    np.save(tmp_path / "a.npy", images)
    np.testing.assert_array_equal(read(tmp_path / "a.npy")[0][..., 0], expected)
    np.testing.assert_array_equal(InputReader(SHAPE, "uint8").array(images)[..., 0], expected)


def test_blank_images_among_others_are_black(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "CHUNK_BYTES", 30)
    images = IMAGES.copy()
    images[[0, 5]] = 0
    images[7] = 1  # in a file of bytes nearly black, not white
    np.save(tmp_path / "a.npy", images)
    np.testing.assert_array_equal(read(tmp_path / "a.npy")[0], images)


def test_colour_and_grey_are_turned_and_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    colour = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
    for name, image in (("a.png", colour), ("b.png", IMAGES[0]), ("c.png", colour)):
        (tmp_path / name).write_bytes(png(image))
    grey, names, notes = read(tmp_path)
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    np.testing.assert_array_equal(grey[[0, 2], ..., 0], np.stack([expected, expected]))
    np.testing.assert_array_equal(InputReader(SHAPE, "uint8").array(colour[None])[0, ..., 0], expected)
    np.testing.assert_array_equal(grey[1], IMAGES[0])
    assert names == ["a.png", "b.png", "c.png"]
    assert notes == ("2 colour images were made grey.",)
    colours, _, notes = read(tmp_path, shape=(6, 5, 3))
    np.testing.assert_array_equal(colours[0], colour)
    np.testing.assert_array_equal(colours[1], np.repeat(IMAGES[0], 3, axis=2))
    assert notes == ("1 grey image is kept as colour, 2 are colour.",)


def test_another_size_is_refused_or_resized(tmp_path: Path) -> None:
    even = np.full((12, 10), 90, np.uint8)
    (tmp_path / "a.png").write_bytes(png(even))
    np.save(tmp_path / "a.npy", even[None])
    for name in ("a.png", "a.npy"):
        with pytest.raises(DataError, match=r"12 x 10; the network takes 6 x 5: resize it"):
            read(tmp_path / name)
        found, _, _ = read(tmp_path / name, resize=True)
        np.testing.assert_array_equal(found, np.full((1, *SHAPE), 90))


UNCLEAR = np.random.default_rng(3).integers(0, 256, 23)  # labels that look like pixels


def bomb(path: Path) -> None:
    """An archive whose header declares far more than it holds."""
    head = io.BytesIO()
    about = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 6, 5)}
    np.lib.format.write_array_header_1_0(head, about)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", head.getvalue() + bytes(10_000_000))


BAD: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "nothing": ("a.csv", lambda path: path.write_bytes(b""), "it is empty"),
    "missing": ("a.png", lambda path: None, "no such file"),
    "an empty folder": ("a", lambda path: path.mkdir(), "no image files"),
    "no image": ("a.png", lambda path: path.write_bytes(b"\x89PNG, they said"), r"1 of 1 files is no image: a\.png"),
    "a short idx": ("a", lambda path: path.write_bytes(b"\0\0\x08\3" + bytes([0, 0, 0, 9] * 3) + b"xx"), "cannot hold"),
    "objects": (
        "a.npy",
        lambda path: np.save(path, np.array([[{}, 1]], object), allow_pickle=True),
        "pickled objects",
    ),
    "no array": ("a.npy", lambda path: path.write_bytes(b"\x93NUMPY\1\0\5\0hello"), "no plain array|damaged"),
    "declared, not there": ("a.npz", bomb, "ends within image"),
    "unknown names": ("a.npz", lambda path: np.savez(path, one=IMAGES, two=IMAGES), "it holds one, two"),
    "another table": (
        "a.csv",
        lambda path: path.write_text("1,2,3\n4,5,6\n"),
        "rows have 3 cells, and the network takes",
    ),
    "a bare extra column": ("a.csv", lambda path: write_table(path, labels=UNCLEAR), "--extra first, or last"),
    "a ragged row": ("a.csv", lambda path: path.write_text(",".join(["1"] * 30) + "\n1,2\n"), "row 2 has 2 cells"),
    "words": (
        "a.csv",
        lambda path: path.write_text((",".join(["1"] * 29) + ",x\n") * 3),
        "holds 'x', which is no number",
    ),
    "no numbers": (
        "a.csv",
        lambda path: path.write_text((",".join(["1"] * 29) + ",nan\n") * 3),
        "column 30 holds nan",
    ),
    "too bright": ("a.npy", lambda path: np.save(path, np.full((2, 6, 5), -1.0)), "pixels are 0 to 255 or 0 to 1"),
    "mixed": ("a.npy", lambda path: np.save(path, np.linspace(0, 3, 60).reshape(2, 6, 5)), "fractions"),
    "a cut gzip": (
        "a.csv.gz",
        lambda path: path.write_bytes(gzip.compress(b"1,2\n" * 99999)[:90]),
        "rows have|cut off",
    ),
    "a damaged archive": ("a.zip", lambda path: path.write_bytes(b"PK\3\4 and no more"), "damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_read_is_said(case: str, tmp_path: Path) -> None:
    name, write, told = BAD[case]
    write(tmp_path / name)
    with pytest.raises(DataError, match=told) as caught:
        read(tmp_path / name)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
