"""Standard streams as they come: closed, full, or of an encoding that lacks some of our characters."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys

_PLAIN = {
    "–": "-", "—": "-", "−": "-", "─": "-", "━": "-", "│": "|", "×": "x", "·": "-", "…": "...", "•": "*",
    "✓": "+", "✗": "x", "→": "->", "≥": ">=", "≤": "<=", "±": "+-", "“": '"', "”": '"', "‘": "'", "’": "'",
    "╸": "-", "╺": "-", "█": "#", "é": "e", "ö": "o", "ü": "u", "ä": "a",
}  # fmt: skip


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Characters that an encoding lacks as others that look alike, or as question marks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(one, "?") for one in error.object[error.start : error.end]), error.end


codecs.register_error("assay-plainly", _plainly)


def _plain_ascii(name: str) -> codecs.CodecInfo | None:
    """ASCII under a name of our own: click takes a stream of ASCII for a mistake, and writes UTF-8 to it."""
    if name not in ("plain_ascii", "plain-ascii"):
        return None
    ascii_codec = codecs.lookup("ascii")
    return codecs.CodecInfo(
        ascii_codec.encode,
        ascii_codec.decode,
        incrementalencoder=ascii_codec.incrementalencoder,
        incrementaldecoder=ascii_codec.incrementaldecoder,
        name="plain-ascii",
    )


codecs.register(_plain_ascii)


def prepare_streams() -> None:
    """Make standard streams usable whatever they are.

    A closed one becomes the null device, also as a file descriptor: else the next file that is opened, such as a
    database, takes its number, and what is printed goes into that.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            is_ascii = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="plain-ascii" if is_ascii else stream.encoding, errors="assay-plainly")


def give_up_output() -> None:
    """Send what is still to be printed nowhere, so that the interpreter does not fail on it when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(null, sys.stdout.fileno())


def trouble(error: OSError) -> str:
    """An error of the operating system that no command expected, as a sentence."""
    reason = error.strerror or str(error)
    try:
        os.getcwd()
    except OSError:
        return "the current folder is gone; change to one that exists."
    if error.filename is None:
        return f"standard output cannot be written ({reason}); send it elsewhere."
    return f"{error.filename}: {reason}."
