"""A kernel is written once, compiled once, and found again by other processes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assay import disk
from assay.errors import DiskFull
from assay.train.fused import compiler
from assay.train.fused.grid import Team

SOURCE = """def twice(part, parts, x):
    for k in range(len(x) * part // parts // 16, len(x) * (part + 1) // parts // 16):
        store_f(x, 16 * k, add(load_f(x, 16 * k), load_f(x, 16 * k)))
"""
IN_ANOTHER_PROCESS = """
import json, sys
import numpy as np
from assay.train.fused.compiler import compiled
kernel = compiled("twice", sys.argv[1])
x = np.ones(16, np.float32)
kernel(0, 1, x)
stats = kernel.stats
print(json.dumps([x.tolist(), sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_KERNELS", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


def compiled_anew(name: str, source: str) -> Callable[..., None]:
    """As in a process that has not asked for it yet."""
    kernel: Callable[..., None] = compiler.compiled.__wrapped__(name, source)
    return kernel


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if path.is_file())


def test_kernels_lie_where_they_are_told_to_or_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_KERNELS", str(tmp_path))
    assert compiler.folder().parent == tmp_path
    monkeypatch.delenv("ASSAY_KERNELS")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    assert compiler.folder().parent == tmp_path / "cache" / "assay" / "kernels"


def test_a_kernel_is_written_once(kernels: Path) -> None:
    compiled_anew("twice", SOURCE)
    (path,) = files(kernels)
    os.utime(path, ns=(10**18, 10**18))
    compiled_anew("twice", SOURCE)
    assert files(kernels) == [path]
    assert path.stat().st_mtime_ns == 10**18
    assert not list(kernels.rglob("*.tmp"))


def test_one_process_asks_the_disk_once(kernels: Path) -> None:
    source = SOURCE.replace("twice", "doubled")
    one = compiler.compiled("doubled", source)
    files(kernels)[0].unlink()
    assert compiler.compiled("doubled", source) is one


def test_changed_source_is_another_file(kernels: Path) -> None:
    one = compiled_anew("twice", SOURCE)
    other = compiled_anew("twice", SOURCE.replace("add", "mul"))
    assert len(files(kernels)) == 2
    x, y = (np.full(16, 3, np.float32) for _ in "xy")
    one(0, 1, x)
    other(0, 1, y)
    assert (x[0], y[0]) == (6, 9)


def test_changed_operations_or_versions_are_another_folder(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compiler.folder()
    try:
        for change in ("version", "vectors"):
            compiler._code_version.cache_clear()
            with monkeypatch.context() as patch:
                if change == "version":
                    patch.setattr(compiler, "version", lambda name: "another")
                else:
                    path = kernels.parent / "vectors.py"
                    path.write_text("# other operations")
                    patch.setattr(compiler.vectors, "__file__", str(path))
                assert compiler.folder() != before
                assert compiler.folder().parent == before.parent
    finally:
        compiler._code_version.cache_clear()
    assert compiler.folder() == before


def test_another_process_loads_machine_code(kernels: Path) -> None:
    def elsewhere() -> tuple[list[float], int, int]:
        done = subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, SOURCE], capture_output=True, text=True, check=True
        )
        x, hits, misses = json.loads(done.stdout)
        return x, hits, misses

    doubled = [2.0] * 16
    assert elsewhere() == (doubled, 0, 1)
    assert elsewhere() == (doubled, 1, 0)
    assert list(kernels.rglob("*.nbc"))


def test_threads_share_a_kernel(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assay.train.fused.grid.WORTH_SHARING", 100)
    kernel = compiled_anew("twice", SOURCE)
    for work in (99, 100):
        x = np.arange(48, dtype=np.float32)
        Team(3)(work, kernel, x)
        assert np.array_equal(x, 2 * np.arange(48))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_to_be_full(kernels: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", full)
        with pytest.raises(DiskFull, match="no space is left"):
            compiled_anew("twice", SOURCE)
    assert not [path for path in kernels.rglob("*") if path.is_file()]
    compiled_anew("twice", SOURCE)  # and it goes on once there is room
    assert len(files(kernels)) == 1
