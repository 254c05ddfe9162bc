"""What a worker tells of the errors that end a run."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path

import pytest
import torch

from assay.errors import DiskFull, Diverged
from assay.runner.worker import work

from ..helpers import small_study, tasks_of

ERRORS = [
    (OSError(errno.ENOSPC, "No space left on device"), "NoSpace", "no space is left"),
    (DiskFull("no room"), "NoSpace", "no room"),
    (OSError(errno.EIO, "Input/output error"), "Failed", "Input/output error"),
    (MemoryError(), "Failed", "no memory left"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "Failed", "no memory left"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "Failed", "no memory left"),
    (RuntimeError("shapes do not match"), "Failed", "shapes do not match"),
    (Diverged("it grew", "shrink it"), "Failed", "it grew"),
]


@pytest.mark.parametrize(("error", "kind", "words"), ERRORS)
def test_every_error_becomes_an_event(
    error: Exception, kind: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **settings: object) -> None:
        raise error

    monkeypatch.setattr("assay.train.engine.train", fail)
    pipe = io.StringIO()
    work(tasks_of(small_study(), tmp_path)[0], pipe, threads=1)
    last = json.loads(pipe.getvalue().splitlines()[-1])
    assert last["event"] == kind
    assert words in last["reason"]


def test_a_device_that_broke_takes_its_process_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every later run of that process would fail too: the executor starts another, which tries the run once more."""

    def fail(*arguments: object, **settings: object) -> None:
        raise torch.AcceleratorError("an illegal memory access was encountered")

    monkeypatch.setattr("assay.train.engine.train", fail)
    with pytest.raises(torch.AcceleratorError):
        work(tasks_of(small_study(), tmp_path)[0], io.StringIO(), threads=1)
