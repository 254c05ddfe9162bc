"""The bar while something large is read: in a terminal alone, and only where it takes long."""

from __future__ import annotations

import io
import sys

import pytest

from assay.data.readers import live as module
from assay.data.readers.live import live


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("after", "is_shown"), [(0.0, True), (60.0, False)])
def test_a_terminal_shows_what_takes_long(monkeypatch, after, is_shown):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "_AFTER_SECONDS", after)
    monkeypatch.setattr(module, "_EVERY_SECONDS", 0.0)
    with live("reading leaves") as tick:
        tick(0.25)
        tick(0.5)
    assert ("reading leaves" in terminal.getvalue()) == is_shown
    assert ("50%" in terminal.getvalue()) == is_shown


def test_nothing_is_written_elsewhere(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "_AFTER_SECONDS", 0.0)
    with live("reading leaves") as tick:
        tick(0.5)
    assert stream.getvalue() == ""


def test_the_bar_ends_where_reading_fails(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "_AFTER_SECONDS", 0.0)

    def read() -> None:
        with live("reading leaves") as tick:
            tick(0.5)
            raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        read()
    assert terminal.getvalue().endswith(("\x1b[?25h", "\x1b[2K"))  # the cursor is back
