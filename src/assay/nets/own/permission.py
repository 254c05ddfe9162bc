"""Which code of one's own may be imported on this machine: what the user named in a study file or in Python.

A store holds a module's arguments and the SHA-256 of its code, never the code, and no path that is imported from. Code
is imported only where this machine's user has named it before, by a study file or in Python: then a note with its path
lies in the user's cache, under the SHA-256 of code and call. So a store that somebody sends can bring no code with it,
nor point to a file that happens to be there.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import platformdirs

from ... import disk
from ...errors import NoCode, Problem, SpecError
from ...spec import OwnCall
from .source import Source, read_source


def allow(call: OwnCall, source: Source) -> OwnCall:
    """Note that the user named this code; the call with its source."""
    known = call.with_source(source.sha256)
    place = str(source.folder / source.entry.path)
    note = _note(known)
    try:
        is_noted = json.loads(note.read_text())["file"] == place
    except (OSError, ValueError, KeyError, TypeError):
        is_noted = False
    if not is_noted:
        with disk.disk_errors(note.parent, "written"):
            note.parent.mkdir(parents=True, exist_ok=True)
        disk.write(note, json.dumps({"file": place, "call": known.call}).encode())
    return known


def located(call: OwnCall) -> Source:
    """The code of a recorded module, where the user of this machine has named it.

    Raises:
        NoCode: They have not, or the code is gone, or is another by now.
    """
    name = Path(call.file).name
    what = f"the code of {name}:{call.name} is not at hand"
    fix = "run `assay describe` with its study file, in whose folder the code lies"
    if call.source is None:
        raise NoCode(Problem(f"{what}: the record does not say which it was", fix))
    try:
        path = Path(json.loads(_note(call).read_text())["file"])
    except (OSError, ValueError, KeyError, TypeError):
        raise NoCode(Problem(f"{what}: on this machine no study file has named it", fix)) from None
    try:
        source = read_source(path)
    except SpecError as error:
        raise NoCode(Problem(f"{what}: {error.problems[0].what}", "put it back, or run the study again")) from None
    if source.sha256 != call.source:
        changed = f"the code of {name}:{call.name} has changed since it was run ({path})"
        raise NoCode(Problem(changed, "put it back as it was, or run the study again with the code of now"))
    return source


def _note(call: OwnCall) -> Path:
    key = hashlib.sha256(call.identity.encode()).hexdigest()
    return Path(platformdirs.user_cache_dir("assay")) / "own-code" / f"{key}.json"
