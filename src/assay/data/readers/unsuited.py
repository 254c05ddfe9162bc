"""Image files that cannot be read as one array as they are: everything that stands in the way, in one message."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import DataError, Problem

_SECONDS = 20.0  # of looking at files before the message is written
_SHOWN = 3


@dataclass
class Looked:
    """What stands in files, counted as they are looked at.

    Args:
        sizes: How many images have a height and width.
        colours, greys: How many are colour, and grey.
        bad: Files that are no images, and why.
        total: All files that were looked at.
    """

    sizes: dict[tuple[int, int], int] = field(default_factory=dict)
    colours: int = 0
    greys: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    total: int = 0


def looked_at(files: Iterable[Any], names: Callable[[int], str]) -> Looked:
    """Looks at files, for some seconds at most.

    Args:
        files: Each loaded, as ``pictures`` loads them: index, size, is_colour, error.
        names: What a file is called, by its index.
    """
    looked, end = Looked(), time.monotonic() + _SECONDS
    for file in files:
        looked.total += 1
        if file.error:
            looked.bad.append((names(file.index), file.error))
        else:
            looked.sizes[file.size] = looked.sizes.get(file.size, 0) + 1
            looked.colours += file.is_colour
            looked.greys += not file.is_colour
        if time.monotonic() > end:
            break
    looked.bad.sort()
    return looked


def unsuited(looked: Looked, what: str, proposed: tuple[int, int], *, count: int, key: str, place: str) -> DataError:
    """One error for all that was found, with the one line that settles it.

    Args:
        looked: What stands in the files.
        what: The first of it: a size that is too large, or two sizes.
        proposed: Height and width to bring all images to.
        count: How many files there are.
        key: Of the study file.
        place: Where the files are.
    """
    read: dict[str, Any] = {"size": proposed}
    clauses, ways = [what], []
    if len(looked.sizes) > 2:
        clauses.append(f"the images have {len(looked.sizes):,} sizes in all")
    if looked.colours and looked.greys:
        read["channels"] = 3
        clauses.append(f"{looked.greys:,} are grey and {looked.colours:,} are colour")
    if looked.bad:
        read["skip_bad"] = True
        clauses.append(bad_files(looked.bad, count))
        ways.append("which leaves out what is no image, or remove or replace those files")
    if looked.total < count:
        clauses.append(f"only the first {looked.total:,} of {count:,} files were looked at so far")
    line = f"read = {{ {', '.join(f'{name} = {_toml(value)}' for name, value in read.items())} }}"
    fix = f"give {'one size to all' if len(read) == 1 else 'one line for all of it'}: {line}"
    return DataError(Problem("; ".join(clauses), ", ".join([fix, *ways]), key, place, remedy={"read": read}))


def bad_files(bad: Sequence[tuple[str, str]], count: int) -> str:
    """How many of so many files are no images, and the first of them by name and reason."""
    return f"{len(bad):,} of {count:,} files {'is no image' if len(bad) == 1 else 'are no images'}: {listed_bad(bad)}"


def listed_bad(bad: Sequence[tuple[str, str]]) -> str:
    """The first of files that are no images, by name and reason."""
    shown = "; ".join(f"{name} ({reason})" for name, reason in bad[:_SHOWN])
    return shown + (f" and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else "")


def _toml(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value).lower()
