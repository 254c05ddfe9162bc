"""LiteRT's file format: FlatBuffers tables of its schema, version 3.

A table is a list of fields, each with its place in the schema, its kind and its value; nested tables are written first.

Source: LiteRT's ``schema.fbs``, from which the numbers here are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...extras import needed

PURPOSE = "LiteRT files"
_ALIGNMENT = 16  # of what tensors hold


@dataclass(frozen=True, eq=False)
class Field:
    """One field of a table.

    Args:
        place: Its number in the schema.
        kind: How it is written.
        value: Its value.
    """

    place: int
    kind: str
    value: Any


Table = list[Field]
_VECTORS = {"ints": np.int32, "longs": np.int64, "floats": np.float32}


def packed(table: Table) -> bytes:
    """A root table as a file.

    Raises:
        SpecError: The flatbuffers package is not installed.
    """
    builder = needed("flatbuffers", PURPOSE).Builder(1 << 14)
    builder.ForceDefaults(True)
    builder.Finish(_written(builder, table), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _written(builder: Any, table: Table) -> int:
    offsets = {field.place: _offset(builder, field) for field in table}
    builder.StartObject(max((field.place for field in table), default=-1) + 1)
    for field in table:
        offset = offsets[field.place]
        if offset is None:
            getattr(builder, f"Prepend{field.kind}Slot")(field.place, field.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(field.place, offset, 0)
    return int(builder.EndObject())


def _offset(builder: Any, field: Field) -> int | None:
    """Where what a field points to was written; ``None`` where its value stands in the table itself."""
    value = field.value
    match field.kind:
        case "text":
            return int(builder.CreateString(value))
        case "bytes":
            return _content(builder, value)
        case "table":
            return _written(builder, value)
        case "tables":
            places = [_written(builder, one) for one in value]
            builder.StartVector(4, len(places), 4)
            for place in reversed(places):
                builder.PrependUOffsetTRelative(place)
            return int(builder.EndVector())
        case kind if kind in _VECTORS:
            return int(builder.CreateNumpyVector(np.asarray(value, _VECTORS[kind])))
    return None


def _content(builder: Any, content: bytes) -> int:
    """Bytes that tensors read in place, as numbers of any width."""
    builder.StartVector(1, len(content), _ALIGNMENT)
    end = builder.Head()
    builder.head = end - len(content)
    builder.Bytes[builder.head : end] = content
    return int(builder.EndVector())
