"""Where each value lies in a program's one piece of memory."""

from __future__ import annotations

from dataclasses import dataclass

from .operations import IMAGE, Convolve, Graph


@dataclass(frozen=True)
class Arena:
    """Places in bytes.

    Args:
        size: Bytes in all: the most that are in use at once, and gaps between them where there are any.
        places: Where each value begins.
        scratch: Where each operation unpacks weights; 0 where it has none.
    """

    size: int
    places: tuple[int, ...]
    scratch: tuple[int, ...]


@dataclass
class _Buffer:
    """Memory that one value after another uses in place, from operation ``first`` to ``last``."""

    size: int
    first: int
    last: int
    place: int = 0

    def meets(self, other: _Buffer) -> bool:
        return self.first <= other.last and other.first <= self.last


def plan(graph: Graph) -> Arena:
    """Lay out a program's values: two share bytes only where one is read for the last time before the other is written.

    Activations and sums overwrite a source that nothing reads afterwards. The image is never overwritten before its
    last reader, so that it may lie anywhere. The largest buffers are placed first, each as low as those beside it let
    it.

    Source: Pisarchyk and Lee (2020), "Efficient memory management for deep neural net inference": greedy by size.
    """
    buffers = [_Buffer(graph.values[IMAGE].size, -1, graph.readers[IMAGE])]
    of_value = {IMAGE: buffers[0]}
    scratch: list[_Buffer | None] = []
    for index, operation in enumerate(graph.operations):
        last, size = max(graph.readers[operation.target], index), graph.values[operation.target].size
        dying = [
            source
            for source in operation.sources
            if source != IMAGE and of_value[source].last == index and of_value[source].size == size
        ]
        writes = not (isinstance(operation, Convolve) and operation.is_last)  # logits are the caller's
        if isinstance(operation, graph.in_place) and dying:
            buffer = of_value[dying[0]]
            buffer.last = last
        else:
            buffer = _Buffer(size if writes else 0, index, last)
            buffers.append(buffer)
        of_value[operation.target] = buffer
        unpacked = operation.scratch if isinstance(operation, Convolve) else 0
        scratch.append(_Buffer(unpacked, index, index) if unpacked else None)
    buffers += [buffer for buffer in scratch if buffer is not None]
    placed: list[_Buffer] = []
    for buffer in sorted(buffers, key=lambda one: (-one.size, one.first)):
        for other in sorted((one for one in placed if one.meets(buffer)), key=lambda one: one.place):
            if buffer.place + buffer.size <= other.place:
                break
            buffer.place = max(buffer.place, other.place + other.size)
        placed.append(buffer)
    size = max(buffer.place + buffer.size for buffer in buffers)
    places = tuple(of_value[value].place for value in range(len(graph.values)))
    return Arena(size, places, tuple(0 if buffer is None else buffer.place for buffer in scratch))
