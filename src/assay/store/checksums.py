"""A checksum in each row that evidence rests on, so that a flipped bit is noticed where SQLite would pass it on.

The connection that writes keeps them, by temporary triggers: rows that another program changes do not get one.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Callable

FUNCTION = "row_checksum"
# For each table its key, and its other columns in their order.
KEYS = {
    "studies": ("id",),
    "arms": ("study", "name"),
    "runs": ("id",),
    "members": ("study", "arm", "seed", "fold"),
    "retrained": ("study", "arm", "seed"),
    "searches": ("study",),
    "candidates": ("study", "number"),
    "trial_runs": ("study", "trial", "seed"),
    "epochs": ("run", "epoch"),
    "artifacts": ("run", "kind"),
    "test_scores": ("run",),
    "looks": ("id",),
    "verdict_looks": ("study", "number"),
    "image_sets": ("id",),
    "validation_hits": ("run",),
    "label_sets": ("id",),
    "predictions": ("run", "split"),
}
_VALUES = {
    "studies": ("name", "question", "spec", "data", "created", "updated"),
    "arms": ("position", "levels", "spec"),
    "runs": (
        "seed", "state", "reason", "advice", "attempts", "started", "finished", "seconds", "peak_memory_bytes",
        "epochs_planned", "spec", "environment", "kept_epoch",
    ),
    "members": ("run",),
    "retrained": ("run",),
    "searches": ("facts",),
    "candidates": ("trial", "chosen", "costs", "reason"),
    "trial_runs": ("run",),
    "epochs": (
        "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "running_loss", "running_accuracy",
        "learning_rate", "seconds", "health", "measures",
    ),
    "artifacts": ("path", "sha256", "bytes"),
    "test_scores": ("loss", "accuracy", "hits"),
    "looks": ("study", "time", "num_runs", "num_new", "is_of_retrained", "content", "test_images"),
    "verdict_looks": ("time", "planned", "seen"),
    "image_sets": ("images",),
    "validation_hits": ("images", "hits"),
    "label_sets": ("labels", "groups"),
    "predictions": ("images", "label_set", "num_classes", "logs"),
}  # fmt: skip
TABLES = {table: KEYS[table] + _VALUES[table] for table in KEYS}
# What is read of very many runs at once, from an index, has a checksum of its own.
BRIEF = ("id", "state", "kept_epoch", "epochs_planned")
# Read as bytes: a flipped bit can make a text that is none.
_TEXTS = frozenset({
    "name", "question", "spec", "data", "levels", "state", "reason", "advice", "environment", "arm", "run", "facts",
    "chosen", "costs", "health", "kind", "path", "sha256", "content", "test_images", "seen", "images", "hits",
    "measures", "labels", "groups", "split", "label_set", "logs",
})  # fmt: skip
_NAMED_BY_TEXT = ("runs", "image_sets", "label_sets")  # their ids are texts

_Layout = tuple[Callable[..., bytes], tuple[int, ...], tuple[int, ...], int]
_layouts: dict[tuple[type, ...], _Layout] = {}


def row_checksum(*values: object) -> int:
    """CRC-32 of a row's values: of numbers in eight bytes each, then of bytes, each with its length.

    A CRC-32 finds every change of up to 32 neighbouring bits, and all but one in 4e9 of other changes. The values'
    types count too.
    """
    kinds = tuple(map(type, values))
    layout = _layouts.get(kinds)
    if layout is None:
        layout = _layouts[kinds] = _layout_of(kinds)
    pack, numbers, texts, start = layout
    checksum = zlib.crc32(pack(*[values[place] for place in numbers]), start)
    for place in texts:
        content: bytes = values[place]  # type: ignore[assignment]
        checksum = zlib.crc32(content, zlib.crc32(len(content).to_bytes(8, "little"), checksum))
    return checksum


def _layout_of(kinds: tuple[type, ...]) -> _Layout:
    codes = {float: "d", int: "q"}
    numbers = tuple(place for place, kind in enumerate(kinds) if kind in codes)
    texts = tuple(place for place, kind in enumerate(kinds) if kind is bytes)
    start = zlib.crc32(" ".join(kind.__name__ for kind in kinds).encode())
    return struct.Struct("<" + "".join(codes[kinds[place]] for place in numbers)).pack, numbers, texts, start


def expression(table: str, columns: tuple[str, ...] = ()) -> str:
    """SQL for the checksum that a row of a table should have."""
    return f"{FUNCTION}({', '.join(_bytes(table, column) for column in columns or TABLES[table])})"


def _bytes(table: str, column: str) -> str:
    is_text = column in _TEXTS or (column == "id" and table in _NAMED_BY_TEXT)
    return f"CAST({table}.{column} AS BLOB)" if is_text else f"{table}.{column}"


def is_damaged(table: str) -> str:
    """SQL for whether a row of a table is not what was written."""
    return f"{table}.checksum IS NOT {expression(table)}"


def register(connection: sqlite3.Connection) -> None:
    """Let a connection compute checksums."""
    connection.create_function(FUNCTION, -1, row_checksum, deterministic=True)


def keep(connection: sqlite3.Connection) -> None:
    """Let a connection give every row that it writes a checksum."""
    connection.execute("PRAGMA temp_store = MEMORY")
    for table, key in KEYS.items():
        sets = f"checksum = {expression(table)}"
        if table == "runs":
            sets += f", brief = {expression(table, BRIEF)}"
        row = " AND ".join(f"{column} = NEW.{column}" for column in key)
        for event in ("INSERT", f"UPDATE OF {', '.join(TABLES[table])}"):
            connection.execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS {table}_{event[:6].lower()} AFTER {event} ON main.{table} "
                f"BEGIN UPDATE {table} SET {sets} WHERE {row}; END"
            )
