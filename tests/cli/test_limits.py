"""Limits of the system told from a full disk, a reader that has gone, and a cache that cannot be written."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from assay.data import location
from assay.disk import disk_full
from assay.errors import DataError

from ..stored import put_study

ASSAY = [sys.executable, "-c", "from assay.cli import main; main()"]
STUDY = """
question = "limits"
[data]
name = "digits"
[network]
layers = ["conv 8 3x3 relu", "layernorm", "flatten", "dense 200 relu", "dense classes softmax"]
[training]
epochs = 1
[seeds]
count = 1
"""


def test_a_limit_on_file_sizes_is_no_full_disk(tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text(STUDY)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    process = subprocess.run(
        [*ASSAY, "run", "limits.toml", "--store", "s", "--no-report"],
        cwd=tmp_path, capture_output=True, text=True, preexec_fn=limited, timeout=300,
    )  # fmt: skip
    assert process.returncode == 1
    assert "by a limit on the size of files (ulimit -f)" in process.stderr
    assert "no space" not in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space is left"), (errno.EDQUOT, "your quota"), (errno.EFBIG, "ulimit -f"), (None, "no space")],
)
def test_each_kind_of_full_has_its_own_remedy(number: int | None, words: str) -> None:
    assert words in str(disk_full(Path("here"), number))


def test_a_reader_that_has_gone_is_no_success(tmp_path: Path) -> None:
    put_study(tmp_path, {f"arm-{number:04}": [0.9] for number in range(2000)})
    command = [*ASSAY, "runs", "small", "--store", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read()
        assert (process.wait(60), errors) == (141, b"")


@pytest.fixture
def unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that cannot be written; permissions would not stop root."""
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("ASSAY_CACHE", str(cache))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    return cache


def test_a_cache_that_cannot_be_written_and_is_empty_gives_way(unwritable: Path) -> None:
    folder = location.arrays_folder("ab")
    assert not folder.is_relative_to(unwritable)
    assert folder.is_relative_to(unwritable.parent)
    assert (unwritable.parent / folder.relative_to(unwritable.parent).parts[0]).stat().st_mode & 0o077 == 0
    assert not location.lock_file("prepare", "ab").is_relative_to(unwritable)


def test_what_it_holds_is_read_where_it_is(unwritable: Path) -> None:
    (unwritable / "arrays" / "ab").mkdir(parents=True)
    assert location.arrays_folder("ab") == unwritable / "arrays" / "ab"
    assert location.arrays_folder("cd") != unwritable / "arrays" / "cd"


def test_a_folder_of_others_is_not_used(unwritable: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"assay-cache-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(DataError, match=r"cannot be written, and .* is another user's; name a folder with ASSAY_CACHE"):
        location.arrays_folder("ab")
