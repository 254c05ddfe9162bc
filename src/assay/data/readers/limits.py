"""Limits on the memory that a file may claim."""

from __future__ import annotations

from ...errors import DataError, Problem

_ALWAYS_BYTES = 1 << 28


def refuse_size(num_bytes: int, place: str) -> None:
    """Refuses data that the machine's free memory cannot hold, before they are asked for.

    Raises:
        DataError: ``num_bytes`` are more than are free.
    """
    if num_bytes < _ALWAYS_BYTES:
        return
    import psutil

    free = psutil.virtual_memory().available
    if num_bytes > free:
        what = f"its images take {num_bytes / 2**30:,.1f} GiB, and {free / 2**30:,.1f} GiB of memory are free"
        raise DataError(Problem(what, "give fewer or smaller images", file=place))


# Deflate cannot pack tighter than this, so a small file that declares much more is lying.
MAX_DEFLATE_RATIO = 1032


def refuse_ratio(declared: int, packed: int, place: str) -> None:
    """Refuses a packed member that declares more than its bytes can hold.

    Raises:
        DataError: It does.
    """
    if declared > packed * MAX_DEFLATE_RATIO + 1024:
        what = f"it declares {declared:,} bytes, and its {packed:,} packed bytes cannot hold that many"
        raise DataError(Problem(what, "replace it with an intact copy", file=place))
