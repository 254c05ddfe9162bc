"""Where in the user's code something happens: the cell and line of a notebook, or the file and line of a script."""

from __future__ import annotations

import re
import site
import sys
import sysconfig
from pathlib import Path
from types import FrameType

_OURS = str(Path(__file__).parent.parent)
_LIBRARIES = tuple(
    dict.fromkeys(
        [
            _OURS,
            *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
            *site.getsitepackages(),
            site.getusersitepackages(),
        ]
    )
)
_CELL = re.compile(r"<cell (\d+)>")
_IPYTHON = re.compile(r"ipykernel_\d+|<ipython-input-")


def place(frame: FrameType | None = None) -> str:
    """The innermost line of user's code that is being run: ``"cell 4, line 2"`` or ``"train.py:17"``; empty for none.

    Args:
        frame: Where to begin to look; the caller's unless given.
    """
    frame = frame or sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if cell := _CELL.fullmatch(name):
            return f"cell {cell[1]}, line {frame.f_lineno}"
        if _IPYTHON.search(name):
            return _of_ipython(frame)
        if not name.startswith(_LIBRARIES) and not name.startswith("<"):
            return f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _of_ipython(frame: FrameType) -> str:
    """The cell and line: IPython keeps which cell each of its file names stands for, older cells' functions too."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    numbers = getattr(getattr(shell, "compile", None), "_filename_map", {})
    number = numbers.get(frame.f_code.co_filename)
    return f"cell [{number}], line {frame.f_lineno}" if number is not None else f"line {frame.f_lineno} of a cell"
