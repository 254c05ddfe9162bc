"""Following a study while it runs: in a terminal, as lines, as JSON, or not at all."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import IO, Any

from ..numerals import counted, percent, whole_seconds
from .drive import Progress
from .events import TRANSIENT, Event, Failed, Finished, Lost, Paused, to_json, without_nan
from .outlook import Outlook
from .tally import Tally

_QUIET_SECONDS = 10.0
_NAMED = 3  # kernels
_UNCHANGED_SECONDS = 60.0  # before the same line is written again


class Silent(Progress):
    """Shows nothing."""

    def begin(self, outlook: Outlook) -> None:
        pass

    def follow(self, event: Event) -> None:
        pass

    def tick(self) -> None:
        pass

    def end(self) -> None:
        pass


class Lines(Progress):
    """A line when a run ends, and now and then how far the study is: for logs and pipes."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._tally: Tally | None = None
        self._written = 0.0
        self._last = ""

    def begin(self, outlook: Outlook) -> None:
        self._tally = Tally(outlook)
        self._written = time.monotonic()
        todo = outlook.num_runs - outlook.num_done
        runs = f"{counted(outlook.num_runs, 'run')}, {outlook.num_done} done before, {todo} to do"
        self._write(f"{title(outlook)}: {runs}")

    def follow(self, event: Event) -> None:
        tally = self._tally
        if tally is None:
            return
        tally.follow(event)
        name = tally.outlook.labels[event.run]
        place = f"[{tally.done}/{tally.outlook.num_runs}]"
        match event:
            case Finished():
                self._write(f"{place} {name}: {accuracy_text(tally.accuracy[event.run])}in {event.seconds:.1f} s")
            case Paused():
                epochs = counted(tally.outlook.epochs[event.run], "epoch")
                self._write(f"{place} {name}: {accuracy_text(tally.accuracy[event.run])}after {epochs}")
            case Failed():
                self._write(f"{place} {name}: {event.state}: {event.reason}; {event.advice}")
            case Lost():
                self._write(f"{name}: {event.reason}; it goes on from its last checkpoint")

    def tick(self) -> None:
        if self._tally and time.monotonic() - self._written > _QUIET_SECONDS:
            left = self._tally.seconds_left()
            rest = f", about {whole_seconds(left)} left" if left is not None else ""
            doing = preparation(self._tally)
            rest += f"; {doing[:1].lower()}{doing[1:]}" if doing else ""
            text = f"{self._tally.done} done, {len(self._tally.running)} running, {self._tally.queued} queued{rest}"
            if text != self._last or time.monotonic() - self._written > _UNCHANGED_SECONDS:
                self._write(text)

    def end(self) -> None:
        pass

    def note(self, text: str) -> None:
        self._write(text)

    def _write(self, text: str) -> None:
        self._written, self._last = time.monotonic(), text
        print(text, file=self._stream, flush=True)


class JsonLines(Progress):
    """One JSON object a line on standard output."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout

    def begin(self, outlook: Outlook) -> None:
        self._outlook = outlook
        self._write({"event": "Begin", "study": outlook.study, "runs": outlook.num_runs, "done": outlook.num_done})

    def follow(self, event: Event) -> None:
        if isinstance(event, TRANSIENT):
            return
        values = {**to_json(event), "label": self._outlook.labels[event.run]}
        values.pop("hits", None)  # bits of every validation image, which the store keeps
        self._write(values)

    def tick(self) -> None:
        pass

    def end(self) -> None:
        pass

    def note(self, text: str) -> None:
        self._write({"event": "Note", "note": text})

    def _write(self, values: dict[str, Any]) -> None:
        print(json.dumps(without_nan(values)), file=self._stream, flush=True)


class Live(Progress):
    """A live display in a terminal (rich)."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console(stderr=True)
        self._live = RichLive(console=self._console, auto_refresh=False, transient=True)
        self._tally: Tally | None = None
        self._started = 0.0

    def begin(self, outlook: Outlook) -> None:
        self._started = self._started if self._tally else time.monotonic()  # a search begins again and again
        self._tally = Tally(outlook)
        if outlook.num_done < outlook.num_runs:
            self._live.start()

    def follow(self, event: Event) -> None:
        if self._tally is None:
            return
        self._tally.follow(event)
        name = self._tally.outlook.labels[event.run]
        match event:
            case Finished():
                accuracy = self._tally.accuracy[event.run]
                text = f"[green]✓[/] {_safe(name)}  {accuracy_text(accuracy)} [dim]{event.seconds:.1f} s[/]"
                self._console.print(text, highlight=False)
            case Paused():
                epochs = counted(self._tally.outlook.epochs[event.run], "epoch")
                accuracy = self._tally.accuracy[event.run]
                text = f"[dim]✓ {_safe(name)}  {accuracy_text(accuracy)}after {epochs}[/]"
                self._console.print(text, highlight=False)
            case Failed():
                what = f"{event.state}: {event.reason}; {event.advice}"
                self._console.print(f"[red]✗[/] {_safe(name)}  {_safe(what)}", highlight=False)
            case Lost():
                what = f"{event.reason}; it goes on from its last checkpoint"
                self._console.print(f"[yellow]↻[/] {_safe(name)}  {_safe(what)}", highlight=False)
        self.tick()

    def tick(self) -> None:
        if self._tally is not None and self._live.is_started:
            self._live.update(self._picture(self._tally), refresh=True)

    def end(self) -> None:
        self._live.stop()

    def note(self, text: str) -> None:
        self._console.print(text, style="dim", highlight=False, markup=False)

    def _picture(self, tally: Tally) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        left = tally.seconds_left()
        head = Text.assemble(
            (title(tally.outlook), "bold"),
            f"  {tally.done} of {counted(tally.outlook.num_runs, 'run')} done, ",
            f"{len(tally.running)} running, {tally.queued} queued",
            (f", {tally.failed} failed" if tally.failed else "", "red"),
            (f"   {whole_seconds(time.monotonic() - self._started)}", "dim"),
            (f", about {whole_seconds(left)} left" if left is not None else "", "dim"),
        )
        rows = Table.grid(padding=(0, 2))
        rows.add_column(no_wrap=True, overflow="ellipsis", max_width=44)
        rows.add_column(width=24)
        rows.add_column(justify="right")
        rows.add_column(justify="right")
        for run, epoch in tally.running.items():
            planned = tally.outlook.epochs[run]
            accuracy = tally.accuracy.get(run)
            rows.add_row(
                Text(tally.outlook.labels[run]),
                ProgressBar(total=planned, completed=epoch, width=24),
                f"epoch {epoch}/{planned}",
                percent(accuracy) if accuracy is not None and epoch and math.isfinite(accuracy) else "",
            )
        doing = preparation(tally)
        return Group(head, Text(doing, style="dim"), rows) if doing else Group(head, rows)


def title(outlook: Outlook) -> str:
    """The study's name, and which part of it this is."""
    return f"{outlook.study}, {outlook.phase}" if outlook.phase else outlook.study


def preparation(tally: Tally) -> str:
    """What goes on while nothing trains: workers start, or which kernels are compiled and for how long; else empty."""
    if not tally.compiling:
        return "Starting worker processes: they load libraries and data" if tally.is_starting else ""
    since = min(start for start, _ in tally.compiling.values())
    names = sorted({name.replace("_", " ").strip() for _, kernels in tally.compiling.values() for name in kernels})
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    seconds = whole_seconds(tally.clock() - since)
    return f"Compiling kernels ({shown}) for {seconds}: some seconds, once on this machine"


def accuracy_text(accuracy: float) -> str:
    """An accuracy, where there are validation images to measure it on."""
    return f"{percent(accuracy)} validation accuracy " if math.isfinite(accuracy) else "trained "


def _safe(text: str) -> str:
    from rich.markup import escape

    return escape(text)
