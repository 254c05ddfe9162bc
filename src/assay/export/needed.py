"""Imports the optional libraries that an export format needs, or says how to install them."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import Problem, SpecError


def needed(name: str) -> Any:
    """A library that the extra ``assay[export]`` brings.

    Raises:
        SpecError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        what = f"this needs {package}, which cannot be imported ({error})"
        raise SpecError(Problem(what, 'pip install "assay[export]"')) from None
