"""Following a study in a notebook: one output of the cell, which is updated in place."""

from __future__ import annotations

import math
import sys
import time
from html import escape
from typing import Any

from ..numerals import counted, percent, whole_seconds
from .drive import Progress
from .events import Event, Failed, Finished, Lost, Paused
from .outlook import Outlook
from .progress import accuracy_text, preparation, title
from .tally import Tally

_PAUSE_SECONDS = 0.5  # between updates: each is a message to the browser
_SHOWN_RUNS = 16
_CELL = "padding:0 1em 0 0;white-space:nowrap;text-align:left"


def is_notebook() -> bool:
    """Whether a Jupyter kernel runs this process, whose front end shows HTML. IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class Notebook(Progress):
    """A live display in a notebook's cell: plain HTML without scripts or widgets, and text where no HTML is shown.

    It needs IPython, which every Jupyter kernel has.
    """

    def __init__(self) -> None:
        self._tally: Tally | None = None
        self._handle: Any = None
        self._lines: list[str] = []  # one for each run that has ended
        self._notes: list[str] = []  # what somebody should read: failures, lost workers
        self._started = self._shown = 0.0

    def begin(self, outlook: Outlook) -> None:
        if self._tally is None:
            self._started = time.monotonic()
        self._tally = Tally(outlook)
        self._show()

    def follow(self, event: Event) -> None:
        tally = self._tally
        if tally is None:
            return
        tally.follow(event)
        name = tally.outlook.labels[event.run]
        match event:
            case Finished():
                self._lines.append(f"{name}: {accuracy_text(tally.accuracy[event.run])}in {event.seconds:.1f} s")
            case Paused():
                epochs = counted(tally.outlook.epochs[event.run], "epoch")
                self._lines.append(f"{name}: {accuracy_text(tally.accuracy[event.run])}after {epochs}")
            case Failed():
                self._notes.append(f"{name}: {event.state}: {event.reason}; {event.advice}")
            case Lost():
                self._notes.append(f"{name}: {event.reason}; it goes on from its last checkpoint")
        self.tick()

    def tick(self) -> None:
        if time.monotonic() - self._shown > _PAUSE_SECONDS:
            self._show()

    def end(self) -> None:
        self._show()

    def note(self, text: str) -> None:
        self._notes.append(text)
        self._show()

    def _show(self) -> None:
        if self._tally is None:
            return
        from IPython.display import display

        self._shown = time.monotonic()
        bundle = {"text/html": self._html(self._tally), "text/plain": self._text(self._tally)}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)

    def _text(self, tally: Tally) -> str:
        """The state of the study, as a sentence."""
        parts = [f"{title(tally.outlook)}: {tally.done} of {counted(tally.outlook.num_runs, 'run')} done"]
        if tally.done < tally.outlook.num_runs:
            parts.append(f"{len(tally.running)} running, {tally.queued} queued")
        if tally.failed:
            parts.append(f"{tally.failed} failed")
        left = tally.seconds_left() if tally.done < tally.outlook.num_runs else None
        parts.append(f"{whole_seconds(time.monotonic() - self._started)}")
        if left is not None:
            parts.append(f"about {whole_seconds(left)} left")
        return ", ".join(parts)

    def _html(self, tally: Tally) -> str:
        share = tally.done + sum(epoch / tally.outlook.epochs[run] for run, epoch in tally.running.items())
        bar = _bar(share, tally.outlook.num_runs)
        html = [f'<div style="margin:0 0 .3em">{bar} {escape(self._text(tally))}</div>']
        if doing := preparation(tally):
            html.append(f'<div style="opacity:.75">{escape(doing)}</div>')
        rows = []
        for run, epoch in list(tally.running.items())[:_SHOWN_RUNS]:
            planned, accuracy = tally.outlook.epochs[run], tally.accuracy.get(run)
            score = percent(accuracy) if accuracy is not None and epoch and math.isfinite(accuracy) else ""
            cells = (escape(tally.outlook.labels[run]), _bar(epoch, planned), f"epoch {epoch}/{planned}", score)
            rows.append(_row(cells))
        if rows:
            html.append(f'<table style="border-collapse:collapse">{"".join(rows)}</table>')
        html += [f"<div>{escape(note)}</div>" for note in self._notes]
        if self._lines:
            runs = "".join(f"<div>{escape(line)}</div>" for line in self._lines)
            summary = (
                f'<summary style="cursor:pointer;opacity:.75">{counted(len(self._lines), "run")} that ended</summary>'
            )
            html.append(f"<details>{summary}{runs}</details>")
        return f'<div class="assay-progress" style="overflow-x:auto">{"".join(html)}</div>'


def _row(cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


def _bar(value: float, total: float) -> str:
    return f'<progress value="{value:.3f}" max="{max(total, 1)}" style="vertical-align:middle;width:9em"></progress>'
