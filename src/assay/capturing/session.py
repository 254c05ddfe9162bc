"""``assay.capture()``: one recorder for a notebook or script."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from .captured import Captured, Run
from .recorder import Recorder
from .recording import Recording
from .studies import drafts_of


class Capture:
    """Records from its creation on, until ``stop`` or, as a context manager, until the end of its block."""

    def __init__(self) -> None:
        self._recorder = Recorder()
        self._recorder.start()

    def stop(self) -> None:
        """Keras as it was before; what was recorded stays."""
        self._recorder.stop()

    @property
    def recordings(self) -> list[Recording]:
        return self._recorder.recordings

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        models = [recording for recording in self.recordings if recording.fits]
        return f"Capture of Keras: {len(models)} model{'s' * (len(models) != 1)} fitted so far; see assay.captured()"


_LAST: list[Capture] = []


def capture() -> Capture:
    """Records Keras from here on. See ``assay.capture``."""
    for earlier in _LAST:
        earlier.stop()
    _LAST[:] = [Capture()]
    return _LAST[0]


def captured(run: Run) -> list[Captured]:
    """What the last ``capture`` recorded. See ``assay.captured``."""
    recordings: list[Any] = _LAST[0].recordings if _LAST else []
    return [Captured(draft, run) for draft in drafts_of(recordings)]
