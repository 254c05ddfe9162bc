"""Which code trains a run. No torch and no Numba here: ``assay describe`` tells it too."""

from __future__ import annotations

from ..nets import Summary
from ..spec import Training
from .fused.plan import why_not_fused


def why_plain(summary: Summary, training: Training) -> str | None:
    """What keeps a run off our kernels: its network or its loss; ``None`` if nothing does."""
    if training.class_weights != "none":
        return "class weights are not in the kernels' loss"
    if training.label_smoothing:
        return "label smoothing is not in the kernels' loss"
    return why_not_fused(summary)
