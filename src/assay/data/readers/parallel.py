"""Decodes images on all cores, where they are large enough to be worth it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ...system import num_cores

_R = TypeVar("_R")
LEAST_BYTES = 1 << 15  # handing a smaller file to a thread takes longer than decoding it
MOST_PIXELS = 1 << 25  # larger pictures are decoded one at a time, so that memory stays bounded
_MOST_WORKERS = 8


def in_parallel(
    work: Callable[[int, bytes, Any], _R],
    files: Iterable[tuple[int, bytes, Any]],
    *,
    is_alone: Callable[[], bool],
) -> Iterator[_R]:
    """What ``work`` makes of each file, in any order; at most two files a core are held at a time.

    Args:
        work: Called with an index, the encoded image and what is known of it. Pillow's decoders run side by side.
        files: Its arguments.
        is_alone: Whether the next file must be finished before another one begins.
    """
    workers = min(_MOST_WORKERS, num_cores())
    pending: deque[Future[_R]] = deque()
    pool: ThreadPoolExecutor | None = None
    try:
        for file in files:
            pixels = getattr(file[2], "width", 0) * getattr(file[2], "height", 0)
            if workers == 1 or len(file[1]) < LEAST_BYTES or pixels > MOST_PIXELS or is_alone():
                yield work(*file)
                continue
            pool = pool or ThreadPoolExecutor(workers, "assay-decode")
            pending.append(pool.submit(work, *file))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
