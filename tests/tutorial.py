"""Runs a tutorial as a reader does: its files are written, its commands typed, its Python executed, in their order."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from assay.cli import main

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SAVED = re.compile(r"as `([\w./-]+\.\w+)`")  # "Save this as `chip.toml`", in the paragraph right before the block
# What a program prints or writes; "bash" is for commands that a page only shows, such as those of other machines.
SHOWN = {"text", "json", "c", "bash"}

Program = Callable[[list[str]], None]


class Block(NamedTuple):
    """A fenced block: its language, its content, and the file that it is saved as, if any."""

    language: str
    content: str
    file: str | None


def blocks_of(name: str) -> list[Block]:
    """The fenced blocks of a tutorial."""
    text = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
    blocks = []
    for match in FENCE.finditer(text):
        paragraph = text[: match.start()].rstrip().rpartition("\n\n")[2]
        saved = SAVED.search(paragraph)
        blocks.append(Block(match[1], match[2], saved[1] if saved and match[1] not in SHOWN else None))
    return blocks


def run_tutorial(
    name: str, *, shorter: Mapping[str, str] | None = None, programs: Mapping[str, Program] | None = None
) -> dict[str, Any]:
    """Run a tutorial's blocks in the current folder; returns the namespace of its Python.

    Args:
        name: The page, ``bytes`` for docs/tutorials/bytes.md.
        shorter: Text of files and Python, and what stands there instead, so that a test ends soon: each must occur.
        programs: What runs a command other than ``assay``, or ``assay COMMAND`` in another way, by its first words.

    Raises:
        AssertionError: A block has no language, a command failed or is not known, or a text to shorten is not there.
    """
    shorter, programs = shorter or {}, programs or {}
    unused = set(shorter)
    namespace: dict[str, Any] = {"__name__": "__main__"}

    def shortened(content: str) -> str:
        for old, new in shorter.items():
            if old in content:
                unused.discard(old)
                content = content.replace(old, new)
        return content

    for block in blocks_of(name):
        assert block.language, f"a block without a language: {block.content}"
        if block.language in SHOWN:
            continue
        if block.language == "sh":
            for line in block.content.splitlines():
                type_command(line, programs)
        elif block.file:
            path = Path(block.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(shortened(block.content), encoding="utf-8")
        else:
            assert block.language == "python", f"a {block.language} block that is not saved: {block.content}"
            exec(compile(shortened(block.content), f"{name}.md", "exec"), namespace)
    assert not unused, f"these texts are not there: {unused}"
    return namespace


def type_command(line: str, programs: Mapping[str, Program]) -> None:
    """Run one line of a shell block; ``> FILE`` at its end takes what it prints.

    Raises:
        AssertionError: It failed, or nothing is known to run it.
    """
    words = shlex.split(line, comments=True)
    if not words:
        return
    if words[-2:-1] == [">"]:
        with Path(words[-1]).open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            type_command(shlex.join(words[:-2]), programs)
        return
    for start, program in programs.items():
        if words[: len(start.split())] == start.split():
            program(words)
            return
    assert words[0] == "assay", f"nothing runs this command: {line}"
    run_assay(words)


def run_assay(words: list[str]) -> None:
    """Run a command of Assay's.

    Raises:
        AssertionError: It failed.
    """
    with pytest.raises(SystemExit) as end:
        main(words[1:])
    assert end.value.code in (0, None), words


def without_report(words: list[str]) -> None:
    """``assay run`` without a report at the end, whose pictures take longer than a small study trains."""
    run_assay([*words, "--no-report"])
