"""Why a slot is gone: by the type of Ray's error and the last figures of its machine, not by Ray's words.

Ray's general text on a dead actor lists what may have killed it, memory among them, whatever did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .jobs import Place

_SHORT = 0.05  # of a machine's memory: with less left, systems kill processes


def why_lost(ray: Any, nodes: Sequence[dict[str, Any]], place: Place, error: BaseException) -> tuple[bool, str]:
    """Whether memory ran out on a slot's machine, and a sentence's beginning that says what happened.

    Args:
        ray: The module.
        nodes: ``ray.nodes()``, now.
        place: The slot, with what its machine had last said.
        error: What Ray returns instead of an answer.
    """
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return True, "it took more memory than its machine had left"
    if place.left is not None and place.left[0] < _SHORT * place.left[1]:
        left, whole = (size >> 20 for size in place.left)
        return True, f"its slot was killed where {left:,} of {whole:,} MiB of memory were left"
    if any(node["NodeID"] == place.about["node"] and node["Alive"] for node in nodes):
        return False, "its slot was killed, and not for lack of memory"
    return False, "its machine does not answer"
