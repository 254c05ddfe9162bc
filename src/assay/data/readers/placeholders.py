"""Recognises files that stand for others: of Git LFS and git-annex, and of cloud folders whose content is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import DataError, Problem

_LFS = b"version https://git-lfs.github.com/spec/"
_ANNEX = b"/annex/objects/"
_GOOGLE = (".gdoc", ".gsheet", ".gslides", ".gdraw", ".gform", ".gdlink")
_FETCH = "have the cloud's program download it (keep it on this device), then try again"


def is_pointer(content: bytes) -> bool:
    """Whether a file's first bytes are those of a Git LFS pointer, which stands for a file that was not fetched."""
    return content.startswith(_LFS)


def placeholder(name: str, content: bytes) -> tuple[str, str] | None:
    """What a file stands for and what to do, as two clauses; ``None`` where it is no such file.

    Args:
        name: Its name.
        content: Its content, or the first bytes of it.
    """
    if is_pointer(content):
        return "it is a Git LFS pointer, which stands for a file that was not fetched", "fetch it with git lfs pull"
    if content.startswith((_ANNEX, b"../.git/annex/objects/")):
        return "it is a git-annex pointer, which stands for a file that was not fetched", "fetch it with git annex get"
    if name.lower().endswith(_GOOGLE):
        return "it is a link to a document in Google Drive, no file", "remove it from the folder"
    if content and not any(content[:4096]):
        return "its bytes are all 0, as in placeholders of files that a cloud has not downloaded", _FETCH
    return None


def is_cloud_name(name: str) -> bool:
    """Whether a name is that of iCloud's or odrive's placeholders, such as ``.cat.jpg.icloud``."""
    return name.endswith((".icloud", ".cloud", ".cloudf"))


def refuse_absent(names: Sequence[tuple[str, ...]], place: str) -> None:
    """Refuses a folder in which placeholders stand for files.

    Raises:
        DataError: There are such.
    """
    if not names:
        return
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    what = f"{'/'.join(names[0])}{more} stand for files in a cloud that are not on this machine"
    fix = "have the cloud's program download the folder (in Finder: Download Now)"
    raise DataError(Problem(what, fix, file=place, remedy={"read": {"skip_bad": True}}))


def missing_fix(path: Path, otherwise: str) -> str:
    """What to do about a path at which nothing is: a placeholder may stand for it."""
    if (path.parent / f".{path.name}.icloud").exists():
        return "it is in iCloud alone: download it in Finder (Download Now)"
    return otherwise
