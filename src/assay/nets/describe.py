"""A network's summary as rows for the command line and the report."""

from __future__ import annotations

from .effects import shape_text
from .shapes import Summary


def table(summary: Summary) -> list[dict[str, str | int]]:
    """One row for each layer: name, word, output shape, parameters (trainable and not), FLOPs a sample."""
    return [
        {
            "layer": row.name,
            "word": row.word,
            "output": shape_text(row.output_shape),
            "parameters": row.parameters,
            "non_trainable": row.non_trainable,
            "flops": row.flops,
        }
        for row in summary.layers
    ]
