"""Workers that wait where a test wants them, so that no test has to be quicker than a run."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import assay
from assay import disk

SOURCE = str(Path(assay.__file__).parents[1])
_HOOK = str(Path(__file__).parent / "hold")
PATIENCE_SECONDS = 300.0  # for what must come, however loaded the machine is


@dataclass(frozen=True)
class Hold:
    """A gate that runs wait at; ``variables`` are the environment in which workers know of it."""

    file: Path

    @property
    def variables(self) -> dict[str, str]:
        return {"PYTHONPATH": os.pathsep.join([_HOOK, SOURCE]), "ASSAY_TEST_HOLD": str(self.file)}

    def close(self, after_epoch: int, *, seed: int | None = None) -> None:
        """Let no run, or none of a seed, get beyond an epoch; the epoch's checkpoint is written and it is told."""
        disk.write(self.file, json.dumps({"epoch": after_epoch, "seed": seed}).encode())

    def open(self) -> None:
        """Let all go on."""
        self.file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def closed(self, after_epoch: int, *, seed: int | None = None) -> Iterator[None]:
        self.close(after_epoch, seed=seed)
        try:
            yield
        finally:
            self.open()


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
