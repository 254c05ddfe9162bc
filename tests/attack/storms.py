"""Kill storms: a running study is killed again and again, and ends with the bits of one that was left alone."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from assay.store import checkup, open_reader

STUDY = """
question = "storm"
[data]
name = "digits"
validation = 0.25
[network]
layers = ["conv {w} 3x3 relu", "batchnorm", "maxpool 2", "flatten", "dropout 0.3", "dense classes softmax"]
[factors]
w = [8, 16]
[training]
epochs = 6
batch_size = 8
optimizer = "adam"
[seeds]
count = 2
"""
_COMMAND = "from assay.cli import main; main()"


def _start(folder: Path) -> subprocess.Popen[bytes]:
    (folder / "storm.toml").write_text(STUDY)
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "run", "storm.toml", "--store", "s", "--no-report", "--workers", "2"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def _results(store: Path) -> list[object]:
    with open_reader(store) as reader:
        runs = reader.study("storm").runs
    return [
        (run.arm, run.seed, run.state, [one.validation_loss for one in run.epochs],
         hashlib.sha256((store / str(run.weights_path)).read_bytes()).hexdigest())
        for run in runs
    ]  # fmt: skip


@functools.cache
def _undisturbed() -> list[object]:
    folder = Path(tempfile.mkdtemp(prefix="assay-attack-"))
    process = _start(folder)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()[-1000:]
    return _results(folder / "s")


def attack(rng: random.Random, folder: Path) -> None:
    """SIGKILL, SIGTERM or SIGINT to the whole group, or SIGKILL to one process of it, after a random time."""
    expected = _undisturbed()
    num_kills = rng.choice((1, 2, 4))
    for _ in range(num_kills):
        process = _start(folder)
        time.sleep(rng.uniform(0.3, 9.0))
        if process.poll() is None:
            number = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
            if rng.random() < 0.7:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        assert b"Traceback" not in errors or process.returncode < 0, errors.decode()[-2000:]
        _sweep(process.pid)
        if (folder / "s" / "store.sqlite").exists():
            checked = checkup(folder / "s")
            assert (checked.structure, checked.rows.findings, dict(checked.files.lost)) == ((), [], {})
    process = _start(folder)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()[-2000:]
    assert _results(folder / "s") == expected
    assert [one.what for one in checkup(folder / "s").findings if "half written" not in one.what] == []


def _sweep(group: int) -> None:
    """End what a killed parent has left: workers end by themselves when their input ends."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.1)
    raise AssertionError("workers outlive the process that started them by 10 seconds")
