"""Encoded images of every kind, good and bad, as folders and lists hold them."""

from __future__ import annotations

import io
import os
import re
import struct
import tomllib
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.data import prepare
from assay.data.readers.pictures import decode
from assay.errors import DataError
from assay.spec import Data, Reading

RNG = np.random.default_rng(29)
GREY = RNG.integers(0, 256, (6, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 7, 3), dtype=np.uint8)


def encoded(picture: Image.Image, form: str = "PNG", **how: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **how)
    return file.getvalue()


def read(*contents: bytes, **reading: object):
    names = [f"{k}.png" for k in range(len(contents))]
    return decode(lambda: enumerate(contents), names, Reading(**reading), "here")


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP"])
@pytest.mark.parametrize("values", [GREY, COLOUR], ids=["grey", "colour"])
def test_lossless_formats_give_back_their_pixels(form, values):
    if form == "GIF" and values.ndim == 3:
        picture = Image.fromarray(values).quantize(64)
        expected = np.asarray(picture.convert("RGB"))
        content = encoded(picture, form)
    else:
        expected, content = (
            values,
            encoded(Image.fromarray(values), form, **({"lossless": True} if form == "WEBP" else {})),
        )
    images, kept, _ = read(content, content)
    expected = expected[..., None] if expected.ndim == 2 else expected
    if form == "WEBP" and values.ndim == 2:  # WebP has no grey
        expected = np.repeat(expected, 3, axis=2)
    assert images.dtype == np.uint8
    assert np.array_equal(images[1], expected)
    assert kept.tolist() == [0, 1]


def test_jpeg_is_what_pillow_decodes_and_stands_upright():
    smooth = np.add.outer(np.arange(16), np.arange(24)).astype(np.uint8) * 6
    content = encoded(Image.fromarray(smooth), "JPEG", quality=95)
    assert np.array_equal(read(content)[0][0, ..., 0], np.asarray(Image.open(io.BytesIO(content))))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = encoded(Image.fromarray(smooth), "JPEG", quality=95, exif=exif)
    assert read(turned)[0].shape == (1, 24, 16, 1)


def test_black_and_white_palette_and_alpha():
    bits = GREY > 127
    assert np.array_equal(read(encoded(Image.fromarray(bits)))[0][0, ..., 0], bits * np.uint8(255))
    grey_palette = Image.fromarray(GREY).convert("P")
    assert np.array_equal(read(encoded(grey_palette))[0][0, ..., 0], GREY)
    palette = Image.fromarray(COLOUR).quantize(8)
    assert np.array_equal(read(encoded(palette))[0][0], np.asarray(palette.convert("RGB")))
    alpha = np.full((6, 7), 255, np.uint8)
    alpha[:3] = 0
    picture = Image.fromarray(np.dstack([COLOUR, alpha]))
    for background, said in ((255, "255"), (0, "0")):
        images, _, notes = read(encoded(picture), background=background)
        assert (images[0, :3] == background).all()
        assert np.array_equal(images[0, 3:], COLOUR[3:])
        assert any(f"which show grey level {said}" in note for note in notes)


def test_sixteen_bits_become_float32_and_take_the_others_with_them():
    deep = RNG.integers(0, 65536, (6, 7), dtype=np.uint16)
    deep[0, 0] = 65535
    images, _, notes = read(encoded(Image.fromarray(GREY)), encoded(Image.fromarray(deep)))
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[0, ..., 0], GREY / 255, rtol=1e-6)
    np.testing.assert_allclose(images[1, ..., 0], deep / 65535, rtol=1e-6)
    assert any("more than 8 bits" in note for note in notes)


def test_grey_among_colour_becomes_colour_wherever_it_stands():
    both = [encoded(Image.fromarray(GREY)), encoded(Image.fromarray(COLOUR))]
    for contents in (both, both[::-1]):
        images, _, notes = read(*contents)
        assert images.shape == (2, 6, 7, 3)
        grey = images[contents.index(both[0])]
        assert (grey == GREY[..., None]).all()
        assert any("1 grey image is kept as colour" in note for note in notes)
    assert read(*both, channels=1)[0].shape == (2, 6, 7, 1)


def test_mixed_sizes_are_refused_or_resized():
    large = np.kron(GREY, np.ones((2, 2), np.uint8))
    contents = [encoded(Image.fromarray(GREY)), encoded(Image.fromarray(large))]
    with pytest.raises(DataError, match=r"1\.png is 12 x 14, and 0\.png is 6 x 7; give one size to all"):
        read(*contents)
    images, _, notes = read(*contents, size=(6, 7))
    assert np.array_equal(images[0, ..., 0], GREY)
    assert np.array_equal(
        images[1, ..., 0], np.asarray(Image.fromarray(large).resize((7, 6), Image.Resampling.BILINEAR))
    )
    assert "1 image was resized to 6 x 7 (bilinear)." in notes


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few hundred bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (b"", "it is empty"),
        (b"no image at all", "it is no image that Pillow knows"),
        (encoded(Image.fromarray(COLOUR))[:60], "1.png ("),
        (bomb(), "pixels"),
    ],
)
def test_files_that_are_no_images_are_named_counted_refused_or_skipped(bad, told):
    good = encoded(Image.fromarray(GREY))
    with pytest.raises(DataError) as caught:
        read(good, bad, good, bad)
    (problem,) = caught.value.problems
    assert problem.what.startswith("2 of 4 files are no images: 1.png (")
    assert told in problem.what
    assert "skip_bad = true" in problem.fix
    images, kept, notes = read(good, bad, good, bad, skip_bad=True)
    assert kept.tolist() == [0, 2]
    assert len(images) == 2
    assert notes[0] == "2 files are no images and are left out: 1.png, 3.png."
    with pytest.raises(DataError, match="2 of 2 files are no images"):
        read(bad, bad, skip_bad=True)


def tree(folder: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(GREY + np.uint8(index)).save(path)
    return folder


def test_class_names_nested_folders_and_leftovers(tmp_path):
    tree(tmp_path / "t", "train/dog/a/1.png", "train/cat/2.png", "test/dog/3.png", "test/cat/4.png")
    for name in (".DS_Store", "train/Thumbs.db", "train/cat/._2.png", "train/.git/config"):
        path = tmp_path / "t" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "t" / "README.md").write_text("read me")
    dataset = prepare(Data(path=str(tmp_path / "t")))
    assert dataset.info.classes == ("cat", "dog")
    assert dataset.training().labels.tolist() == [0, 1]
    assert len(dataset.test()) == 2
    assert any("README.md" in note for note in dataset.info.notes)


def test_folders_that_make_no_data_set(tmp_path):
    tree(tmp_path / "one", "cat/1.png", "cat/2.png")
    with pytest.raises(DataError, match="it holds one class folder, cat"):
        prepare(Data(path=str(tmp_path / "one")))
    tree(tmp_path / "empty", "cat/1.png", "dog/1.png")
    (tmp_path / "empty" / "owl").mkdir()
    with pytest.raises(DataError, match="the class folder owl holds no images; fill or remove it"):
        prepare(Data(path=str(tmp_path / "empty")))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="it holds no class folders"):
        prepare(Data(path=str(tmp_path / "none")))
    tree(tmp_path / "text", "cat/1.png", "dog/1.png")
    (tmp_path / "text" / "cat" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"1 of 3 files is no image: cat/notes\.txt"):
        prepare(Data(path=str(tmp_path / "text")))
    assert prepare(Data(path=str(tmp_path / "text"), read={"skip_bad": True})).info.num_training == 2


def test_a_link_that_leads_back_up_is_followed_once(tmp_path):
    tree(tmp_path / "t", "cat/1.png", "dog/1.png")
    (tmp_path / "t" / "cat" / "up").symlink_to(tmp_path / "t")
    assert prepare(Data(path=str(tmp_path / "t"))).info.num_training == 2


def test_a_class_missing_from_test_is_told_and_one_missing_from_training_refused(tmp_path):
    tree(tmp_path / "t", "train/cat/1.png", "train/dog/1.png", "test/cat/1.png")
    notes = prepare(Data(path=str(tmp_path / "t"))).info.notes
    assert any(note.startswith("No test image has the class dog") for note in notes)
    tree(tmp_path / "t", "test/owl/1.png")
    with pytest.raises(DataError, match="has the label owl, which no training image has"):
        prepare(Data(path=str(tmp_path / "t")))


def test_a_new_file_in_a_folder_is_noticed(tmp_path):
    data = Data(path=str(tree(tmp_path / "t", "cat/1.png", "dog/1.png")))
    assert prepare(data).info.num_training == 2
    tree(tmp_path / "t", "cat/3.png")
    assert prepare(data).info.num_training == 3


def test_lists_of_files_with_splits_and_their_mistakes(tmp_path):
    tree(tmp_path / "p", "1.png", "2.png", "3.png", "4.png")
    path = tmp_path / "list.csv"
    rows = [
        "name,species,split,weight",
        *(f"p/{k}.png,{'ab'[k % 2]},{'test' if k > 2 else 'train'},7" for k in (1, 2, 3, 4)),
    ]
    path.write_text("\n".join(rows))
    data = Data(path=str(path), read={"image": "name", "label": "species"})
    dataset = prepare(data)
    assert (dataset.info.num_training, dataset.info.num_test) == (2, 2)
    assert dataset.training().labels.tolist() == [1, 0]
    with pytest.raises(DataError, match="columns may be the label"):
        prepare(Data(path=str(path)))
    for old, new, told in [
        ("p/2.png", "p/9.png", "the table names this file, and it is not there"),
        (",train,", ",practice,", 'row 2 has the split "practice"'),
        ("p/2.png,a", "p/2.png,a,b", "row 3 has 5 cells, and the others have 4"),
    ]:
        path.write_text("\n".join(rows).replace(old, new))
        with pytest.raises(DataError, match=told):
            prepare(data)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b.png", "C:/b.png", "..\\b.png"])
def test_names_that_lead_out_of_an_archive_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(DataError, match="leads out of the archive"):
        prepare(Data(path=str(tmp_path / "a.zip")))


def test_archives_that_lie_or_are_damaged(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("cat/1.png", bytes(1 << 20))
        packed.writestr("dog/1.png", encoded(Image.fromarray(GREY)))
    content = path.read_bytes()
    place = content.rindex(struct.pack("<I", 1 << 20))
    path.write_bytes(content[:place] + struct.pack("<I", 1 << 31) + content[place + 4 :])
    with pytest.raises(DataError, match=r"cat/1\.png: it declares 2,147,483,648 bytes"):
        prepare(Data(path=str(path)))
    for name, damaged in (("b.zip", content[:500]), ("b.tar", b"x" * 2000), ("b.tar.gz", b"\x1f\x8b" + b"x" * 90)):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(DataError, match="it is damaged"):
            prepare(Data(path=str(tmp_path / name)))


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    tree(tmp_path / "t", "cat/1.png", "dog/1.png")

    own = os.open

    def refuse(path: object, *others: object, **named: object) -> int:
        if str(path).endswith(".png"):
            raise PermissionError(13, "refused", str(path))
        return own(path, *others, **named)

    monkeypatch.setattr("assay.data.readers.trees.os.open", refuse)
    with pytest.raises(DataError, match=r"cat/1\.png: this may not be read; give yourself permission"):
        prepare(Data(path=str(tmp_path / "t")))


def test_one_message_names_size_bad_files_and_colours_with_one_line_that_settles_them():
    grey, colour = encoded(Image.fromarray(GREY)), encoded(Image.fromarray(COLOUR))
    larger = encoded(Image.fromarray(np.repeat(COLOUR, 6, axis=0)))
    with pytest.raises(DataError) as caught:
        read(grey, colour, b"no image", larger, b"")
    (problem,) = caught.value.problems
    assert "3.png is 36 x 7, and" in problem.what
    assert "1 are grey and 2 are colour" in problem.what
    assert "2 of 5 files are no images: 2.png (it is no image that Pillow knows); 4.png (it is empty)" in problem.what
    line = re.search(r"read = (\{.*?\})", problem.fix)
    assert line is not None
    settled = tomllib.loads(line[0])["read"]
    assert settled == problem.remedy["read"] | {"size": list(problem.remedy["read"]["size"])}
    images, kept, _ = read(grey, colour, b"no image", larger, b"", **settled)
    assert kept.tolist() == [0, 1, 3]
    assert images.shape == (3, *settled["size"], 3)


def test_photographs_are_asked_about_once():
    large = encoded(Image.fromarray(RNG.integers(0, 256, (640, 700, 3), np.uint8)), "JPEG")
    with pytest.raises(DataError) as caught:
        read(large, encoded(Image.fromarray(GREY)), b"")
    (problem,) = caught.value.problems
    assert "its first image is 640 x 700" in problem.what
    assert "1 of 3 files is no image: 2.png (it is empty)" in problem.what
    assert problem.remedy["read"] == {"size": (6, 6), "channels": 3, "skip_bad": True} | {
        "size": problem.remedy["read"]["size"]
    }
