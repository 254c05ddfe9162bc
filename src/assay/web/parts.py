"""What the pages are served from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request

from .findings import Findings
from .launch import Launcher
from .panels import Panels
from .watch import Watch


@dataclass(frozen=True)
class Parts:
    """What the pages share.

    Args:
        store: The store's folder.
        watch: Who follows it.
        findings: Results that take a while.
        panels: Networks that can be asked.
        launcher: Who trains; ``None`` where the pages only read.
        token: What our own pages send to show that they are ours.
    """

    store: Path
    watch: Watch
    findings: Findings
    panels: Panels
    launcher: Launcher | None
    token: str


def parts_of(request: Request) -> Parts:
    """The parts that answer a request."""
    found: Parts = request.app.state.parts
    return found
