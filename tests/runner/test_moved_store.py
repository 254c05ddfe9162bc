"""A store that is moved or deleted under a running study: training stops, and rows and weights stay together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import assay
from assay.errors import StoreMoved
from assay.store import DATABASE, checkup, open_reader, open_writer
from assay.store.place import StorePlace

from ..helpers import small_study
from ..stored import put_study

STUDY = """
question = "moved"
[data]
name = "digits"
validation = 0.25
[network]
layers = ["conv 8 3x3 relu", "flatten", "dense classes softmax"]
[training]
epochs = 40
batch_size = 4
[seeds]
count = 4
"""


@pytest.fixture
def running(tmp_path: Path) -> subprocess.Popen[str]:
    """A study that has finished an epoch at least."""
    (tmp_path / "moved.toml").write_text(STUDY)
    command = "from assay.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "run", "moved.toml", "--store", "s", "--no-report", "--workers", "2"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (tmp_path / "s" / DATABASE).exists():
            with open_reader(tmp_path / "s") as reader:
                if "moved" in reader.study_names() and any(run.epochs for run in reader.study("moved").runs):
                    return process
        time.sleep(0.1)
    raise AssertionError("no epoch")


def ended(process: subprocess.Popen[str]) -> str:
    started = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - started < 30
    assert process.returncode == 2
    assert "Traceback" not in errors
    return errors.splitlines()[-1]


def test_a_store_that_is_moved_keeps_everything_together(running: subprocess.Popen[str], tmp_path: Path) -> None:
    os.rename(tmp_path / "s", tmp_path / "elsewhere")
    message = ended(running)
    assert "the store was moved" in message
    if sys.platform == "linux":
        assert f"moved to {tmp_path / 'elsewhere'}" in message
    assert not (tmp_path / "s").exists()
    with open_reader(tmp_path / "elsewhere") as reader:
        before = reader.study("moved").runs
    checked = checkup(tmp_path / "elsewhere")
    assert (checked.structure, checked.rows.findings, dict(checked.files.lost)) == ((), [], {})
    done = assay.run(tmp_path / "moved.toml", store=tmp_path / "elsewhere", workers=2).runs
    assert {run.state for run in done} == {"finished"}
    for run, earlier in zip(done, before, strict=True):
        assert run.epochs[: len(earlier.epochs)] == earlier.epochs


def test_a_store_that_is_deleted_is_not_made_again(running: subprocess.Popen[str], tmp_path: Path) -> None:
    while (tmp_path / "s").exists():
        shutil.rmtree(tmp_path / "s", ignore_errors=True)
    assert "deleted while its study was training" in ended(running)
    assert not (tmp_path / "s").exists()


def test_nothing_is_written_into_another_store_at_the_same_place(tmp_path: Path) -> None:
    store = tmp_path / "s"
    put_study(store, {"a": [0.9] * 6})
    with open_writer(store) as writer:
        store.rename(tmp_path / "elsewhere")
        put_study(store, {"b": [0.8] * 6})
        with pytest.raises(StoreMoved, match="elsewhere"):
            writer.put_event("small", "noise", {})
    with open_reader(store) as reader:
        assert [arm.name for arm in reader.study("small").arms] == ["b"]


def test_a_place_that_stays_is_no_trouble(tmp_path: Path) -> None:
    assay.run(small_study(seeds={"count": 1}), store=tmp_path, workers=1)
    place = StorePlace(tmp_path)
    place.check()
    (tmp_path / DATABASE).rename(tmp_path / "other")
    with pytest.raises(StoreMoved, match="moved or deleted"):
        place.check()
    place.close()
