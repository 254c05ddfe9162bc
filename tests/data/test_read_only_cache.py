"""Data that were prepared before are opened from a cache that can no longer be written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from assay.data import prepare
from assay.spec import Data


def test_prepared_data_need_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "a.npz"
    np.savez(path, x=rng.integers(0, 256, (20, 4, 4), dtype=np.uint8), y=np.arange(20) % 2)
    first = prepare(Data(path=str(path)))

    def refused(*arguments: object, **options: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(sys.modules["assay.data.prepare"], "locked", refused)
    again = prepare(Data(path=str(path)))
    assert again.info == first.info
    assert again.training().images.tolist() == first.training().images.tolist()
