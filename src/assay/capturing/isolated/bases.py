"""Networks of ``keras.applications`` without their weights, which a study names instead."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..graph import BASES, mark
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
    @functools.wraps(make)
    def build(*args: Any, **kwargs: Any) -> Any:
        top = kwargs.get("include_top", args[0] if args else True)
        weights = kwargs.pop("weights", args[1] if len(args) > 1 else "imagenet")
        model = make(*args[:1], None, *args[2:], **kwargs) if len(args) > 1 else make(*args, weights=None, **kwargs)
        mark(model, {
            "class": name, "name": BASES.get(name.lower()) if not top else None,
            "weights": weights, "pooling": kwargs.get("pooling"),
        })  # fmt: skip
        return model

    return build
