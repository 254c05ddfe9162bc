"""One root seed yields named, independent streams of randomness.

A stream's key is a hash of (root seed, stream name, counters), so that adding a stream moves no other
stream, and so that a draw depends on where it is used (which epoch, which layer), never on what was
drawn before it. Nothing needs to be stored to resume in the middle of a run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Stream = Literal["split", "init", "order", "augment", "dropout"]
STREAMS: tuple[Stream, ...] = get_args(Stream)


@dataclass(frozen=True)
class Streams:
    """The random streams of one run.

    Args:
        root: The run's seed.
        vary: Streams that follow the root seed. Every other stream is the same for all seeds.
        member: Of an ensemble, from 0: each has draws of its own, of all but ``split``. The first has those of a run
            that is no ensemble.
    """

    root: int
    vary: frozenset[str] = frozenset(STREAMS)
    member: int = 0

    def key(self, stream: Stream, *counters: int) -> int:
        """A 64-bit key for one use of a stream, a pure function of its arguments."""
        root = self.root if stream in self.vary else "fixed"
        member = (f"member {self.member}",) if self.member and stream != "split" else ()
        text = "/".join(map(str, ("assay", root, stream, *member, *counters)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def generator(self, stream: Stream, *counters: int) -> np.random.Generator:
        """A NumPy generator (Philox, counter-based) keyed for one use of a stream."""
        return np.random.Generator(np.random.Philox(key=self.key(stream, *counters)))
