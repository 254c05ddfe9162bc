"""WebDataset's tar files and TFRecords, read without their libraries; checksums by the published values of CRC-32C."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay.data import Dataset, prepare
from assay.data.readers import tfrecord
from assay.errors import DataError
from assay.spec import Data

RNG = np.random.default_rng(229)
IMAGES = RNG.integers(0, 256, (24, 6, 6, 3), dtype=np.uint8)
LABELS = np.arange(24) % 3


def own(path: Path, **values: object) -> Dataset:
    return prepare(Data.of({"path": str(path), **values}))


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def tar(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def pairs(rows: range, ending: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for k in rows:
        files[f"{k:05}.png"] = png(IMAGES[k])
        values = {"label": int(LABELS[k]), "kind": "abc"[LABELS[k]], "all": [1, 2]}
        files[f"{k:05}.{ending}"] = json.dumps(values).encode() if ending == "json" else str(LABELS[k]).encode()
    return files


@pytest.mark.parametrize("ending", ["cls", "json", "txt"])
def test_a_shard(tmp_path, ending):
    training = own(tar(tmp_path / "d.tar", pairs(range(24), ending))).training()
    assert np.array_equal(training.images, IMAGES)
    assert np.array_equal(training.labels, LABELS)


def test_shards_by_their_splits_and_a_key_of_ones_own(tmp_path):
    for name, rows in (("train-000", range(8)), ("train-001", range(8, 16)), ("val-000", range(16, 18)),
                       ("test-000", range(18, 24))):  # fmt: skip
        tar(tmp_path / "set" / f"{name}.tar", pairs(rows, "json"))
    dataset = own(tmp_path / "set", read={"label": "kind"}, validation="given")
    assert dataset.info.classes == ("a", "b", "c")
    assert np.array_equal(dataset.training().images, IMAGES[:18])
    assert dataset.training().validation.sum() == 2
    assert np.array_equal(dataset.test().images, IMAGES[18:])


def test_shards_without_labels_are_refused(tmp_path):
    files = pairs(range(24), "cls")
    del files["00007.cls"]
    with pytest.raises(DataError, match=r"00007\.png has no 00007\.cls beside it"):
        own(tar(tmp_path / "a.tar", files))
    with pytest.raises(DataError, match=r"all is a list; .*\(multi-label\) are not read"):
        own(tar(tmp_path / "b.tar", pairs(range(24), "json")), read={"label": "all"})
    with pytest.raises(DataError, match=r"it holds label, kind, all; name the key of the label"):
        own(tmp_path / "b.tar", read={"label": "other"})


def varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def feature(value: bytes | int | float) -> bytes:
    if isinstance(value, bytes):
        return field(1, field(1, value))
    if isinstance(value, float):
        return field(2, field(1, struct.pack("<f", value)))
    return field(3, field(1, varint(value)))


def example(**features: bytes | int | float) -> bytes:
    entries = [(field(1, name.replace("__", "/").encode()), field(2, feature(v))) for name, v in features.items()]
    return field(1, b"".join(field(1, name + value) for name, value in entries))


def crc32c(content: bytes) -> int:
    """Bit by bit, as the polynomial's definition has it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    def masked(content: bytes) -> bytes:
        crc = crc32c(content)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(record))
    return length + masked(length) + record + masked(record)


def write(path: Path, rows: range, image: str = "image", label: str = "label") -> Path:
    path.parent.mkdir(exist_ok=True)
    records = [example(**{image: png(IMAGES[k]), label: int(LABELS[k]), "id": 0.5}) for k in rows]
    path.write_bytes(b"".join(map(framed, records)))
    return path


def test_checksums_are_those_of_rfc_3720():
    checksum = tfrecord._checksum()
    assert checksum(bytes(32)) == 0x8A9136AA
    assert checksum(b"\xff" * 32) == 0x62A8AB43
    assert checksum(bytes(range(32))) == 0x46DD794E
    assert checksum(b"123456789") == crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("names", [("image", "label"), ("image__encoded", "image__class__label")])
def test_a_tfrecord(tmp_path, names):
    training = own(write(tmp_path / "d.tfrecord", range(24), *names)).training()
    assert np.array_equal(training.images, IMAGES)
    assert np.array_equal(training.labels, LABELS)


def test_a_folder_as_tensorflow_datasets_write_it(tmp_path):
    folder = tmp_path / "tiny"
    for name, rows in (("train.tfrecord-00000-of-00002", range(8)), ("train.tfrecord-00001-of-00002", range(8, 16)),
                       ("test.tfrecord-00000-of-00001", range(16, 24))):  # fmt: skip
        write(folder / f"tiny-{name}", rows)
    (folder / "label.labels.txt").write_text("ant\nbee\ncow\n")
    (folder / "dataset_info.json").write_text("{}")
    dataset = own(folder)
    assert dataset.info.classes == ("ant", "bee", "cow")
    assert np.array_equal(dataset.training().images, IMAGES[:16])
    assert np.array_equal(dataset.test().images, IMAGES[16:])


def test_damaged_records_are_refused(tmp_path):
    content = write(tmp_path / "d.tfrecord", range(4)).read_bytes()
    for damaged, message in (
        (content[:-1], "record 4: it is cut off"),
        (content[:20] + b"\x00\x01" + content[22:], "record 1: its checksum is wrong"),
        (b"\xff" + content[1:], "record 1: the checksum of its length is wrong"),
        (framed(b"no message"), "record 1 is no tf.train.Example"),
        (framed(example(pixels=b"x", kind=1)), "its records hold pixels, kind; name the image"),
        (b"", "it holds no records"),
    ):
        (tmp_path / "e.tfrecord").write_bytes(damaged)
        with pytest.raises(DataError, match=message):
            own(tmp_path / "e.tfrecord")
    length = struct.pack("<Q", 1 << 60)
    crc = crc32c(length)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    (tmp_path / "f.tfrecord").write_bytes(length + struct.pack("<I", masked))
    with pytest.raises(DataError, match="it declares 1,152,921,504,606,846,976 bytes"):
        own(tmp_path / "f.tfrecord")
