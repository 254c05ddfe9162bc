"""Fingerprints: the hash that identifies a run."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .data import Data
from .study import Arm

# Raised when training changes in a way that makes old results differ from new ones for the same spec.
PROTOCOL = 1


def fingerprint(content: Any) -> str:
    """SHA-256 of a JSON-like value, independent of key order: 64 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def run_fingerprint(
    arm: Arm, data: Data, *, content: str, seed: int, vary: tuple[str, ...], fold: int | None = None
) -> str:
    """The identity of one run: its arm's spec, the data's content and treatment, and its seed.

    Args:
        arm: The arm; its name does not count.
        data: How the data set is split and scaled; where it comes from does not count.
        content: SHA-256 of the data set's content.
        seed: Root seed.
        vary: The streams that the seed changes.
        fold: Which fold is held out, where there are folds.
    """
    return fingerprint(
        {
            "protocol": PROTOCOL,
            "arm": arm.identity(),
            "data": {**data.identity(), "content": content},
            "seed": seed,
            "vary": sorted(vary),
            "fold": fold,
        }
    )
