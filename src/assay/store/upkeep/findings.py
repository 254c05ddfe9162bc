"""What is wrong with a store, as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One fault of a store.

    Args:
        what: What is wrong, and where.
        remedy: What mends it.
        is_mendable: Whether ``repair`` does.
    """

    what: str
    remedy: str
    is_mendable: bool = True


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
