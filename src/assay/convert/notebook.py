"""Reads a notebook's code without its outputs, whatever they weigh: everything else in the file is skipped."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..disk import disk_errors, regular_file
from ..errors import DataError, Problem

MOST_CODE = 1 << 22  # bytes of code that are parsed
_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_PLAIN = re.compile(rb"[^\s,\]}:\"\[{]+")
_TURN = re.compile(rb'[\[\]{}"]')
_MOST_CELLS = 100_000


def code_cells(path: Path) -> list[str]:
    """The source of each code cell, in order.

    Raises:
        DataError: The file cannot be read, is no notebook, or has more code than is read.
    """
    file = str(path)
    no_notebook = DataError(Problem("it is no notebook", "save it again as .ipynb", file=file))
    with disk_errors(path, "read"), regular_file(path) as opened:
        try:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                cells = list(_Scanner(content, file).cells())
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            raise no_notebook from None
    if not cells:
        raise no_notebook
    return [source for kind, source in cells if kind == "code"]


def too_much_code(file: str) -> DataError:
    return DataError(Problem(f"it has more than {MOST_CODE:,} bytes of code", "give the part that trains", file=file))


class _Scanner:
    """A position in a JSON text; what is not asked for is passed over without being decoded."""

    def __init__(self, content: mmap.mmap, file: str) -> None:
        self._content, self._file = content, file
        self._at = 0
        self._read = 0

    def cells(self) -> Iterator[tuple[str, str]]:
        """Each cell's type and source."""
        count = 0
        for key in self._members():
            if key != "cells":
                self._skip()
                continue
            for _ in self._elements():
                count += 1
                if count > _MOST_CELLS:
                    raise ValueError("too many cells")
                yield self._cell()

    def _cell(self) -> tuple[str, str]:
        kind, source = "", ""
        for key in self._members():
            if key == "cell_type":
                kind = str(self._value())
            elif key == "source":
                text = self._value()
                source = text if isinstance(text, str) else "".join(text)
            else:
                self._skip()
        return kind, source

    def _next(self) -> bytes:
        self._at = _SPACE.match(self._content, self._at).end()  # type: ignore[union-attr]
        return self._content[self._at : self._at + 1]

    def _expect(self, sign: bytes) -> None:
        if self._next() != sign:
            raise ValueError("another sign is expected")
        self._at += 1

    def _series(self, begin: bytes, end: bytes) -> Iterator[None]:
        """Stops at each element's beginning; the element is then read or skipped."""
        self._expect(begin)
        if self._next() == end:
            self._at += 1
            return
        while True:
            yield None
            sign = self._next()
            self._at += 1
            if sign == end:
                return
            if sign != b",":
                raise ValueError("a comma is expected")

    def _elements(self) -> Iterator[None]:
        return self._series(b"[", b"]")

    def _members(self) -> Iterator[str]:
        for _ in self._series(b"{", b"}"):
            key = str(self._value())
            self._expect(b":")
            yield key

    def _value(self) -> Any:
        self._next()
        begin = self._at
        self._skip()
        self._read += self._at - begin
        if self._read > 2 * MOST_CODE:  # JSON spells some characters with several
            raise too_much_code(self._file)
        return json.loads(self._content[begin : self._at])

    def _skip(self) -> None:
        """Goes behind the value that begins here."""
        sign = self._next()
        if sign not in (b"[", b"{"):
            pattern = _STRING if sign == b'"' else _PLAIN
            match = pattern.match(self._content, self._at)
            if match is None:
                raise ValueError("no value")
            self._at = match.end()
            return
        depth = 0
        while True:
            turn = _TURN.search(self._content, self._at)
            if turn is None:
                raise ValueError("the text ends early")
            if turn[0] == b'"':
                match = _STRING.match(self._content, turn.start())
                if match is None:
                    raise ValueError("a text has no end")
                self._at = match.end()
                continue
            self._at = turn.end()
            depth += 1 if turn[0] in b"[{" else -1
            if not depth:
                return
