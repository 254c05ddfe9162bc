"""IDX files: what is written is read, and every damage has its one sentence."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assay.data import idx_sha256, read_idx, write_idx
from assay.errors import DataError, DiskFull

TYPES = [np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64]
ARRAYS = st.sampled_from(TYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5))
)
GOOD = struct.pack(">HBB2I", 0, 0x08, 2, 2, 3) + bytes(range(6))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(array=ARRAYS, name=st.sampled_from(["a.idx", "a.idx.gz"]))
def test_what_is_written_is_read(tmp_path, array, name):
    path = tmp_path / name
    write_idx(path, array)
    read = read_idx(path)
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    assert read.tobytes() == array.tobytes()
    content = path.read_bytes()
    plain = gzip.decompress(content) if name.endswith(".gz") else content
    assert idx_sha256(array) == hashlib.sha256(plain).hexdigest()
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []


def test_bytes_on_disk_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, 2], [3, -4]], dtype=np.int16))
    assert (tmp_path / "a").read_bytes().hex(" ") == "00 00 0b 02 00 00 00 02 00 00 00 02 00 01 00 02 00 03 ff fc"


def test_arrays_in_any_order_and_byte_order_are_written_the_same(tmp_path):
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    write_idx(tmp_path / "a", array)
    write_idx(tmp_path / "b", np.asfortranarray(array))
    write_idx(tmp_path / "c", array.astype(">i4"))
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1
    assert read_idx(tmp_path / "c").dtype.isnative


def test_gzipped_files_are_the_same_bytes_every_time(tmp_path, monkeypatch):
    write_idx(tmp_path / "a.gz", np.arange(9, dtype=np.uint8))
    monkeypatch.setattr("time.time", lambda: 0.0)
    write_idx(tmp_path / "b.gz", np.arange(9, dtype=np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


BROKEN = {
    "empty": (b"", "it holds 0 bytes"),
    "short": (b"\0\0\x08", "it holds 3 bytes"),
    "html": (b"<html>not found</html>", "it starts with the bytes 3c 68"),
    "type": (GOOD[:2] + b"\x0a" + GOOD[3:], "it declares the type 0a, and IDX knows 08, 09, 0b, 0c, 0d, 0e"),
    "no dimensions": (b"\0\0\x08\0", "it declares 0 dimensions, and 1 to 8 are read"),
    "many dimensions": (b"\0\0\x08\xff" + bytes(1020), "it declares 255 dimensions"),
    "header cut off": (GOOD[:7], "it declares 2 dimensions and ends before their sizes"),
    "empty array": (struct.pack(">HBB2I", 0, 8, 2, 0, 3), "every size must be at least 1"),
    "one byte short": (GOOD[:-1], "it declares 2 x 3 values of uint8, 6 bytes, and holds only 5"),
    "one byte more": (GOOD + b"\0", "it declares 2 x 3 values of uint8, 6 bytes, and holds more than that"),
    "absurd size": (struct.pack(">HBB3I", 0, 14, 3, *[2**32 - 1] * 3) + GOOD, "a file of its size cannot hold that"),
    "gz, absurd size": (gzip.compress(struct.pack(">HBBI", 0, 8, 1, 2**31)), "a file of its size cannot hold that"),
    "gz, one byte short": (gzip.compress(GOOD[:-1]), "and holds only 5"),
    "gz, one byte more": (gzip.compress(GOOD + b"\0"), "and holds more than that"),
    "gz, cut off": (gzip.compress(GOOD)[:-9], "its gzip stream is cut off"),
    "gz, only magic": (b"\x1f\x8b", "its gzip stream is cut off"),
    "gz, wrong checksum": (flipped(gzip.compress(GOOD), -8 + len(gzip.compress(GOOD))), "its gzip stream is corrupt"),
    "gz, wrong stream": (gzip.compress(GOOD)[:10] + b"\xff" * 30, "its gzip stream is corrupt"),
    "gz, junk behind": (gzip.compress(GOOD) + b"junk", "its gzip stream is corrupt"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_every_damage_has_its_one_sentence(tmp_path, case):
    content, said = BROKEN[case]
    path = tmp_path / "file.idx"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    (problem,) = caught.value.problems
    assert said in problem.what or said in str(problem)
    assert problem.file == str(path)
    assert str(caught.value).endswith("; replace it with an intact copy.")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_memory_is_taken_only_for_what_is_there(tmp_path):
    path = tmp_path / "liar.gz"
    # 200 kB of zeros that claim to be 200 MB: within what gzip could pack into a file of this size, so it is read.
    noise = np.random.default_rng(1).bytes(200_000)
    path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 200_000_000) + noise))
    tracemalloc.start()
    with pytest.raises(DataError, match="holds only 200000"):
        read_idx(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 5_000_000


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([True]), np.array([1], dtype=np.int64), np.uint8(3), np.zeros((2, 0), np.uint8)]
)
def test_arrays_without_an_idx_form_are_refused(tmp_path, array):
    with pytest.raises(ValueError, match="IDX"):
        write_idx(tmp_path / "a", array)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "error"), [(28, DiskFull), (13, DataError)])
def test_a_refused_write_leaves_nothing_behind(tmp_path, monkeypatch, number, error):
    path = tmp_path / "a.gz"
    write_idx(path, np.zeros(3, np.uint8))
    before = path.read_bytes()

    def refuse(_: int) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(error) as caught:
        write_idx(path, np.ones(5, np.uint8))
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [Path(path)]
