"""Writes a report to the disk atomically."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from .. import disk

ReportForm = Literal["html", "pdf", "notebook", "markdown", "latex"]
SUFFIXES: dict[ReportForm, str] = {
    "html": ".html", "pdf": ".pdf", "notebook": ".ipynb", "markdown": ".md", "latex": ".tex",
}  # fmt: skip


def write_report(path: str | Path, html: str) -> Path:
    """Writes a report; a reader, or a crash, sees the old file or the new one, never half of one.

    Raises:
        DiskFull: There is no room for it.
        DataError: The disk refuses for another reason.
    """
    disk.write(Path(path), html.encode())
    return Path(path)
