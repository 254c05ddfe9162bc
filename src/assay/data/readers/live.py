"""A progress bar on the terminal while something large is read for the first time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AFTER_SECONDS = 1.0
_EVERY_SECONDS = 0.1


@contextmanager
def live(what: str) -> Iterator[Callable[[float], None]]:
    """A bar on standard error, from the second second on; nothing where that is no terminal.

    Args:
        what: What is being done.

    Yields:
        A function to call, as often as one likes, with the share that is done.
    """
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
    task = bars.add_task(what, total=1.0)
    due = time.monotonic() + _AFTER_SECONDS
    is_shown = False

    def tick(share: float) -> None:
        nonlocal due, is_shown
        now = time.monotonic()
        if now < due:
            return
        due = now + _EVERY_SECONDS
        if not is_shown:
            bars.start()
            is_shown = True
        bars.update(task, completed=share, refresh=True)

    try:
        yield tick
    finally:
        if is_shown:
            bars.stop()
