from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from assay.errors import SpecError
from assay.report import pdf, write_pdf


def pretend(folder: Path, script: str) -> None:
    """A program called chromium that does what a script says."""
    browser = folder / "chromium"
    browser.write_text(f"#!/bin/sh\n{script}\n")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(pdf, "_PLACES", ())
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_without_a_browser_one_sentence_says_what_to_do(programs, tmp_path):
    with pytest.raises(SpecError) as caught:
        write_pdf(tmp_path / "r.pdf", "<p>")
    assert str(caught.value) == (
        "a PDF is printed by Chromium, Chrome or Edge, and none is on this machine; install one, or open the HTML "
        "report in any browser and print it."
    )
    assert os.listdir(tmp_path) == ["bin"]


def test_what_the_browser_prints_is_the_page(programs, tmp_path):
    script = (
        'for given in "$@"; do case "$given" in --print-to-pdf=*) to="${given#*=}";; file:*) page="${given#file://}";; '
        'esac; done\nwhile read -r line; do echo "printed $line" >> "$to"; done < "$page"'
    )
    pretend(programs, script)
    path = write_pdf(tmp_path / "new" / "r.pdf", "<p>é</p>\n")
    assert path.read_text() == "printed <p>é</p>\n"


@pytest.mark.parametrize("script", ["echo it broke >&2; exit 3", "exit 3"])
def test_a_browser_that_fails_is_told_with_its_words(programs, tmp_path, script):
    pretend(programs, script)
    with pytest.raises(SpecError, match=r"could not print the report \(it (broke|ended with 3)\)"):
        write_pdf(tmp_path / "r.pdf", "<p>")
    assert not (tmp_path / "r.pdf").exists()


@pytest.mark.usefixtures("chromium")
def test_chromium_prints_every_section(make_study, render_study, tmp_path):
    path = write_pdf(tmp_path / "r.pdf", render_study(make_study({"a": (0.9, 0.8), "b": (0.8, 0.7)})))
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") >= 3
