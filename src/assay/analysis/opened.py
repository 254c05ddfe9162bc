"""How often a study's test split has been looked at, also by other studies of the store."""

from __future__ import annotations

from ..numerals import counted
from ..store import StudyRecord


def looks_at_test(study: StudyRecord) -> str:
    """Looks so far at the study's test images: ``2 looks``, and how many other studies took, where any did."""
    return f"{counted(len(study.looks), 'look')}{elsewhere(study)}"


def elsewhere(study: StudyRecord) -> str:
    """What follows the number of a study's own looks, where other studies have looked at the same test images."""
    return f" by this study and {study.looks_elsewhere} by other studies in the store" if study.looks_elsewhere else ""
