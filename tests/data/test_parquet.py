"""Parquet files of numbers: flat and nested lists of one size, in several row groups and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from assay.data.readers.parquet import read_parquet
from assay.errors import DataError
from assay.spec import Reading

RNG = np.random.default_rng(61)
IMAGES = RNG.integers(0, 256, (700, 4, 6), dtype=np.uint8)
LABELS = np.arange(700) % 3


def written(path: Path, rows: list[object], kind: pa.DataType, labels: np.ndarray = LABELS) -> Path:
    table = pa.table({"pixels": pa.array(rows, kind), "label": labels[: len(rows)]})
    parquet.write_table(table, path, row_group_size=150)
    return path


@pytest.mark.parametrize(
    ("rows", "kind", "shape"),
    [
        (IMAGES.tolist(), pa.list_(pa.list_(pa.uint8())), None),
        (IMAGES.tolist(), pa.list_(pa.list_(pa.int64(), 6), 4), None),
        (IMAGES.tolist(), pa.large_list(pa.list_(pa.float32())), None),
        (IMAGES.reshape(700, 24).tolist(), pa.list_(pa.int32()), (4, 6)),
        (IMAGES.reshape(700, 24).tolist(), pa.list_(pa.float64(), 24), (4, 6)),
    ],
)
def test_lists_of_numbers_are_images(tmp_path, rows, kind, shape):
    found = read_parquet(written(tmp_path / "a.parquet", rows, kind), Reading(shape=shape))
    assert np.array_equal(found.training.images[..., 0], IMAGES)
    assert found.training.labels.tolist() == LABELS.tolist()


def test_several_files_are_one_split(tmp_path):
    written(tmp_path / "train-0.parquet", IMAGES[:300].tolist(), pa.list_(pa.list_(pa.uint8())))
    written(tmp_path / "train-1.parquet", IMAGES[300:].tolist(), pa.list_(pa.list_(pa.uint8())), LABELS[300:])
    found = read_parquet(tmp_path, Reading())
    assert np.array_equal(found.training.images[..., 0], IMAGES)
    assert found.training.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("row", [0, 3, 299, 600])
def test_a_row_of_another_size_is_named(tmp_path, row):
    rows = IMAGES.tolist()
    rows[row] = rows[row][:3]
    named = 1 if row == 0 else row
    with pytest.raises(DataError, match=rf"row {named + 1} has another size than the first; correct it"):
        read_parquet(written(tmp_path / "a.parquet", rows, pa.list_(pa.list_(pa.uint8()))), Reading())
    rows = IMAGES.tolist()
    rows[row][2] = rows[row][2][:5]
    with pytest.raises(DataError, match=r"row \d+ has another size than the first"):
        read_parquet(written(tmp_path / "b.parquet", rows, pa.list_(pa.list_(pa.uint8()))), Reading())
    rows = IMAGES.tolist()
    rows[row] = None
    with pytest.raises(DataError, match=rf"row {row + 1} lacks an image or a part of one"):
        read_parquet(written(tmp_path / "c.parquet", rows, pa.list_(pa.list_(pa.uint8()))), Reading())
    rows = IMAGES.tolist()
    rows[row][1][2] = None
    with pytest.raises(DataError, match=rf"row {row + 1} lacks a pixel"):
        read_parquet(written(tmp_path / "d.parquet", rows, pa.list_(pa.list_(pa.uint8()))), Reading())
