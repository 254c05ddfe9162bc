"""Networks of ``keras.applications`` without their weights, which a study names instead."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ...convert.bases import BASES, mark
from ..patches import Patches


def install(keras: Any, patches: Patches) -> None:
    """Lets ``keras.applications`` build its networks without fetching weights, and marks what they are."""
    applications = keras.applications
    for name in dir(applications):
        make = getattr(applications, name)
        if name[0].isupper() and callable(make):
            marked = _marked(name, make)
            patches.set(applications, name, marked)
            for module in vars(applications).values():
                if getattr(module, name, None) is make and hasattr(module, "__path__"):
                    patches.set(module, name, marked)


def _marked(name: str, make: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(make)

    @functools.wraps(make)
    def build(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        weights = given.arguments.get("weights", "imagenet")
        given.arguments["weights"] = None
        model = make(*given.args, **given.kwargs)
        settings = given.arguments
        is_base = not settings.get("include_top", True) and settings.get("alpha", 1.0) == 1.0
        mark(model, {
            "class": name, "name": BASES.get(name.lower()) if is_base else None,
            "weights": weights, "pooling": settings.get("pooling"),
        })  # fmt: skip
        return model

    return build
