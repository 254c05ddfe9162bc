"""Who hears that kernels are compiled: that takes seconds, once on a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Listener = Callable[[tuple[str, ...]], None]
_listeners: list[Listener] = []


@contextmanager
def compiling_announced(listener: Listener) -> Iterator[None]:
    """Call ``listener`` with the names of kernels before they are compiled, while the context lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce(names: Sequence[str]) -> None:
    """These kernels are compiled now."""
    for listener in _listeners:
        listener(tuple(names))
