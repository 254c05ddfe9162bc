"""What a case of an attack is, and the words by which inputs are spoiled."""

from __future__ import annotations

import contextlib
import io
import random
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.cli.main import main

# Of a kind: (random numbers, an empty folder). An AssertionError says what broke.
Attack = Callable[[random.Random, Path], None]

WEIRD = ("", "..", "../..", "/etc/passwd", "a/b", "\x00", "é", "💥", "-1", "--help", "nan", "inf", "1e999", "0" * 400,
         "A" * 5000, "<script>alert(1)</script>", "'; DROP TABLE runs; --", "{x}", "{{}}", "%00", "NULL", "\n\r",
         "__class__", "${HOME}", "{0.__class__}")  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, 10**9, 10**30, 0.0, -0.0, 1e308, 1e-320, 0.5)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    errors: str


def command(*arguments: str) -> Ended:
    """Run a command in this process.

    Raises:
        AssertionError: It ended in another way than with a sentence.
    """
    output, errors = io.StringIO(), io.StringIO()
    code: object = None
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            main(list(arguments))
        except SystemExit as ended:
            code = ended.code
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            text = "".join(traceback.format_exception(error)[-4:])
            raise AssertionError(f"assay {' '.join(arguments)[:300]}\n{text}") from None
    told = errors.getvalue()
    assert "Traceback" not in told + output.getvalue(), f"assay {' '.join(arguments)[:300]}\n{told[-2000:]}"
    assert isinstance(code, int)
    assert len(told) < 200_000, f"assay {' '.join(arguments)[:300]}: {len(told)} characters of errors"
    return Ended(code, output.getvalue(), told)


def spoiled(rng: random.Random, content: bytes) -> bytes:
    """A file's content with bits flipped, parts cut, doubled, overwritten or exchanged."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        start = rng.randrange(len(data))
        length = min(len(data) - start, rng.choice((1, 2, 4, 8, 64, 1000)))
        match rng.randrange(7):
            case 0:
                data[start] ^= 1 << rng.randrange(8)
            case 1:
                data[start : start + length] = rng.randbytes(length)
            case 2:
                del data[start : start + length]
            case 3:
                del data[start:]
            case 4:
                data[start:start] = data[start : start + length]
            case 5:
                number = rng.choice((0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1))
                data[start : start + 8] = number.to_bytes(8, rng.choice(("little", "big")))
            case _:
                data[start : start + length] = bytes(length)
    return bytes(data)


@contextlib.contextmanager
def quiet_warnings() -> Iterator[None]:
    """Libraries may warn of what is spoiled."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
