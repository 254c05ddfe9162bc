"""``assay.capture()``: one recorder for a notebook or script."""

from __future__ import annotations

import warnings
from types import TracebackType

from ..convert.draft import Draft
from .captured import Captured, Run
from .live_tuner import TunerRecorder
from .recorder import Recorder
from .recording import Recording
from .studies import drafts_of


class Capture:
    """Records Keras models from its creation until :meth:`stop`, or until the end of its ``with`` block.

    :func:`assay.capture` returns it.
    """

    def __init__(self) -> None:
        self._recorder = Recorder()
        self._recorder.start()
        self._tuners = TunerRecorder(self._recorder)
        self._tuners.start()

    def stop(self) -> None:
        """Stop recording. What was recorded is kept."""
        self._tuners.stop()
        self._recorder.stop()

    def drafts(self) -> list[Draft]:
        """Return the fitted models and the searches as unfinished studies."""
        return [*drafts_of(self.recordings), *self._tuners.drafts()]

    @property
    def recordings(self) -> list[Recording]:
        """The recorded models, with their calls."""
        return self._recorder.recordings

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        models = sum(bool(recording.fits) for recording in self.recordings)
        count = len(self._tuners.searches)
        searches = f" and {count} search{'es' * (count != 1)} run" if count else ""
        return f"Capture of Keras: {models} model{'s' * (models != 1)} fitted{searches} so far; see assay.captured()"


_LAST: list[Capture] = []


def capture() -> Capture:
    """Records Keras from here on. See ``assay.capture``."""
    for earlier in _LAST:
        earlier.stop()
    _LAST[:] = [Capture()]
    return _LAST[0]


def captured(run: Run) -> list[Captured]:
    """What the last ``capture`` recorded, with a warning where that is nothing. See ``assay.captured``."""
    drafts = _LAST[0].drafts() if _LAST else []
    if not drafts:
        text = "no model was fitted since assay.capture()" if _LAST else "assay.capture() was not called before"
        if _LAST:
            text += "; loops of your own (GradientTape, train_on_batch, stateless updates) are not recorded: "
            text += "use model.fit, or an own module or loss in a study (docs/guides/own-code.md)"
        warnings.warn(f"{text}.", stacklevel=3)
    return [Captured(draft, run) for draft in drafts]
