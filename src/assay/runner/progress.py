"""Following a study while it runs: in a terminal, as lines, as JSON, or not at all."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass, field
from typing import IO, Any

from .drive import Outlook, Progress
from .events import EpochDone, Event, Failed, Finished, Lost, Paused, Started, to_json, without_nan

_QUIET_SECONDS = 10.0
_UNCHANGED_SECONDS = 60.0  # before the same line is written again
PATIENT_SECONDS = 3.0
COMPILES = "no epoch yet: a network's first use compiles its kernels, several seconds, once on this machine"


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


@dataclass
class Tally:
    """Counts what has happened and estimates what is left; shared by every display."""

    outlook: Outlook
    finished: int = 0
    failed: int = 0
    running: dict[str, int] = field(default_factory=dict)  # run id -> epochs done
    accuracy: dict[str, float] = field(default_factory=dict)  # of the last epoch, then of the one that was kept
    _accuracies: dict[str, dict[int, float]] = field(default_factory=dict)
    _epochs_left: int = 0
    _epoch_seconds: float = 0.0
    _epochs_seen: int = 0

    def __post_init__(self) -> None:
        left = sorted(self.outlook.epochs.values(), reverse=True)[: self.outlook.num_runs - self.outlook.num_done]
        self._epochs_left = sum(left)

    @property
    def done(self) -> int:
        return self.outlook.num_done + self.finished + self.failed

    @property
    def queued(self) -> int:
        return self.outlook.num_runs - self.done - len(self.running)

    def follow(self, event: Event) -> None:
        match event:
            case Started():
                self.running[event.run] = 0
            case EpochDone():
                record = event.record
                if record.epoch > self.running.get(event.run, 0):
                    self._epochs_left -= 1
                self.running[event.run] = record.epoch
                self.accuracy[event.run] = record.validation_accuracy
                self._accuracies.setdefault(event.run, {})[record.epoch] = record.validation_accuracy
                self._epoch_seconds += record.seconds
                self._epochs_seen += 1
            case Finished():
                self.finished += 1
                self._epochs_left -= self.outlook.epochs[event.run] - self.running.pop(event.run, 0)
                measured = self._accuracies.pop(event.run, {})
                if event.kept_epoch in measured:
                    self.accuracy[event.run] = measured[event.kept_epoch]
            case Paused():
                self.finished += 1
                self.running.pop(event.run, 0)
            case Failed():
                self.failed += 1
                self._epochs_left -= self.outlook.epochs[event.run] - self.running.pop(event.run, 0)
            case Lost():
                self._epochs_left += self.running.pop(event.run, 0)

    @property
    def is_preparing(self) -> bool:
        """Whether runs have begun and none has finished an epoch yet: images are scaled, kernels compiled."""
        return bool(self.running) and not self._epochs_seen

    def seconds_left(self) -> float | None:
        """Estimate from the mean seconds of the epochs seen; ``None`` before the first."""
        if not self._epochs_seen:
            return None
        lanes = max(1, min(self.outlook.num_workers, len(self.running) + max(self.queued, 0)))
        return max(self._epochs_left, 0) * self._epoch_seconds / self._epochs_seen / lanes


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
        self._write(f"{outlook.study}: {outlook.num_runs} runs, {outlook.num_done} done before, {todo} to do")

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
                epochs = counted_epochs(tally.outlook.epochs[event.run])
                self._write(f"{place} {name}: {accuracy_text(tally.accuracy[event.run])}after {epochs}")
            case Failed():
                self._write(f"{place} {name}: {event.state}: {event.reason}; {event.advice}")
            case Lost():
                self._write(f"{name}: {event.reason}; it goes on from its last checkpoint")

    def tick(self) -> None:
        if self._tally and time.monotonic() - self._written > _QUIET_SECONDS:
            left = self._tally.seconds_left()
            rest = f", about {duration(left)} left" if left is not None else ""
            rest += f"; {COMPILES}" if self._tally.is_preparing else ""
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
        self._tally = Tally(outlook)
        self._started = time.monotonic()
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
                epochs = counted_epochs(self._tally.outlook.epochs[event.run])
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
            (tally.outlook.study, "bold"),
            f"  {tally.done} of {tally.outlook.num_runs} runs done, ",
            f"{len(tally.running)} running, {tally.queued} queued",
            (f", {tally.failed} failed" if tally.failed else "", "red"),
            (f"   {duration(time.monotonic() - self._started)}", "dim"),
            (f", about {duration(left)} left" if left is not None else "", "dim"),
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
                f"{accuracy:.2%}" if accuracy is not None and epoch and math.isfinite(accuracy) else "",
            )
        if tally.is_preparing and time.monotonic() - self._started > PATIENT_SECONDS:
            return Group(head, Text(f"{COMPILES[:1].upper()}{COMPILES[1:]}", style="dim"), rows)
        return Group(head, rows)


def duration(seconds: float) -> str:
    """Seconds as people say them: ``41 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted_epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def accuracy_text(accuracy: float) -> str:
    """An accuracy, where there are validation images to measure it on."""
    return f"{accuracy:.2%} validation accuracy " if math.isfinite(accuracy) else "trained "


def _safe(text: str) -> str:
    from rich.markup import escape

    return escape(text)
