"""What verdicts need of a study's many runs, kept as one value: the rows themselves take ten times as long to read.

A summary is made of rows whose checksums were right. The schema's triggers drop every summary when a row changes that
one is made of, whoever changes it. It has a checksum of its own; one that is damaged counts as none.
"""

from __future__ import annotations

import io
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import NONE, BriefRuns, RunColumns
from .records import StudyRecord

MANY_RUNS = 2_000  # that take a tenth of a second to read
_CHECKSUM_BYTES = 4
_LISTS = ("ids", "arms")  # of texts, in which no line ends


@dataclass(frozen=True)
class Summary:
    """A study's runs, and what ``StudyRecord.validation_hits`` holds of them."""

    runs: BriefRuns
    validation_hits: dict[str, tuple[str, bytes]]

    @classmethod
    def of_record(cls, record: StudyRecord) -> Summary:
        """Of a record that was read in brief."""
        return cls(BriefRuns(record.columns), dict(record.validation_hits))

    def to_bytes(self) -> bytes:
        """Itself as bytes, their CRC-32 first."""
        columns = self.runs.columns
        hits = [self.validation_hits.get(run, ("", b"")) for run in columns.ids]
        names = list(dict.fromkeys(images for images, _ in hits if images))
        places = {name: place for place, name in enumerate(names)}
        values = {field.name: getattr(columns, field.name) for field in fields(columns)}
        arrays: dict[str, Any] = values | {name: _packed(values[name]) for name in _LISTS}
        file = io.BytesIO()
        np.savez(
            file,
            **arrays,
            image_sets=_packed(names),
            image_set=np.array([places.get(images, NONE) for images, _ in hits], dtype=np.int64),
            hit_bytes=np.array([len(bits) for _, bits in hits], dtype=np.int64),
            hits=np.frombuffer(b"".join(bits for _, bits in hits), dtype=np.uint8),
        )
        content = file.getvalue()
        return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little") + content

    @classmethod
    def of_bytes(cls, content: bytes) -> Summary | None:
        """The same from bytes; ``None`` where they are not what was written."""
        checksum, content = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little") != checksum:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(RunColumns)}
            values |= {name: _unpacked(values[name]) for name in _LISTS}
            names = _unpacked(arrays["image_sets"])
            bits = arrays["hits"].tobytes()
            ends = np.cumsum(arrays["hit_bytes"])
            spans = zip((ends - arrays["hit_bytes"]).tolist(), ends.tolist(), strict=True)
            hits = {
                run: (names[place], bits[start:end])
                for run, place, (start, end) in zip(values["ids"], arrays["image_set"].tolist(), spans, strict=True)
                if place != NONE
            }
        return cls(BriefRuns(RunColumns(**values)), hits)


def _packed(texts: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(texts).encode(), dtype=np.uint8)


def _unpacked(packed: NDArray[np.uint8]) -> list[str]:
    return packed.tobytes().decode().split("\n") if packed.size else []


def kept_summary(connection: sqlite3.Connection, study: int) -> Summary | None:
    """The summary of a study, by its number; ``None`` where there is none, or a damaged one."""
    row = connection.execute("SELECT content FROM summaries WHERE study = ?", (study,)).fetchone()
    return Summary.of_bytes(row["content"]) if row is not None and isinstance(row["content"], bytes) else None


def keep_summary(connection: sqlite3.Connection, study: str, summary: Summary) -> None:
    """Keep a summary, in place of an earlier one."""
    connection.execute(
        "INSERT OR REPLACE INTO summaries (study, content) SELECT id, ? FROM studies WHERE name = ?",
        (summary.to_bytes(), study),
    )
