from __future__ import annotations

import errno
import os

import pytest

from assay.errors import DiskFull
from assay.report import write_report


def test_a_report_is_written_whole_into_a_new_folder(tmp_path):
    path = write_report(tmp_path / "new" / "report.html", "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert os.listdir(path.parent) == ["report.html"]


def test_a_crash_while_writing_leaves_the_old_report(tmp_path, monkeypatch):
    path = write_report(tmp_path / "report.html", "old")

    def crash(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        write_report(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_full_disk_is_told_as_one(tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=r"report\.html: no space is left"):
        write_report(tmp_path / "report.html", "new")
    assert os.listdir(tmp_path) == []
