"""The shared parts of the application, which every handler uses."""

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
    """The parts that all handlers share.

    Args:
        store: The store's folder.
        watch: Follows the store.
        findings: The cache of slow results.
        panels: The networks, loaded for predictions.
        launcher: Starts training; ``None`` where the pages only read.
        token: The token that the application's own pages send with requests that change something.
    """

    store: Path
    watch: Watch
    findings: Findings
    panels: Panels
    launcher: Launcher | None
    token: str


def parts_of(request: Request) -> Parts:
    """The application's parts, from a request."""
    parts: Parts = request.app.state.parts
    return parts
