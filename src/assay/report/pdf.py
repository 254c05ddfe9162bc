"""Prints a report to PDF with Chromium, using the page's print style."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .. import disk
from ..errors import Problem, SpecError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_SECONDS = 120


def chromium() -> str | None:
    """The path of a Chromium, Chrome or Edge; ``None`` where there is none."""
    path_on_search_path = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return path_on_search_path or next((place for place in _PLACES if os.access(place, os.X_OK)), None)


def write_pdf(path: str | Path, html: str) -> Path:
    """Print a report's page to a PDF file, whole or not at all.

    Raises:
        SpecError: There is no browser to print it, or it fails.
        DiskFull: There is no room for it.
    """
    browser = chromium()
    if browser is None:
        raise SpecError(
            Problem(
                "a PDF is printed by Chromium, Chrome or Edge, and none is on this machine",
                "install one, or open the HTML report in any browser and print it",
            )
        )
    with tempfile.TemporaryDirectory(prefix="assay-pdf-") as folder:
        page, printed = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_text(html, encoding="utf-8")
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium has no sandbox for root
        command = [
            browser, "--headless", "--disable-gpu", "--disable-background-networking", "--no-first-run",
            *(["--no-sandbox"] if is_root else []), f"--user-data-dir={folder}/profile", "--no-pdf-header-footer",
            "--virtual-time-budget=10000", f"--print-to-pdf={printed}", page.as_uri(),
        ]  # fmt: skip
        try:
            process = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(browser, str(error)) from None
        if not printed.exists() or not printed.stat().st_size:
            error_lines = process.stderr.strip().splitlines()
            raise _failed(browser, error_lines[-1] if error_lines else f"it ended with {process.returncode}")
        disk.write(Path(path), printed.read_bytes())
    return Path(path)


def _failed(browser: str, reason: str) -> SpecError:
    return SpecError(
        Problem(f"{browser} could not print the report ({reason})", "print the HTML report from a browser")
    )
