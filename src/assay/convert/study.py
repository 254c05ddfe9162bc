"""Writes converted models as a study."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def study_values(path: Path, name: str, models: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """A study with an arm for each model; what they train alike stands once.

    Args:
        path: The file that they come from.
        name: Of the study.
        models: Names, and values of ``spec.Study``; all of the first one's data.
    """
    first = models[0][1]
    values = {"name": name, "data": first["data"], "training": first["training"]}
    if len(models) == 1:
        own = {key: first[key] for key in ("network", "search") if key in first}
        word = "Which" if "search" in first else "How well does the"
        ending = f"network of the space of {path.name} is best?" if "search" in first else f"network of {path.name} do?"
        return {**values, "question": f"{word} {ending}", **own}
    arms, names = [], set[str]()
    for model, theirs in models:
        arm = _unused(plain_name(model) or "model", names)
        names.add(arm)
        differing = {key: value for key, value in theirs["training"].items() if first["training"].get(key) != value}
        arms.append({"name": arm, **theirs["network"], **({"training": differing} if differing else {})})
    shared = {
        key: value for key, value in first["training"].items() if all(key in one["training"] for _, one in models)
    }
    alone = {key: value for key, value in first["training"].items() if key not in shared}
    if alone:
        arms[0]["training"] = {**arms[0].get("training", {}), **alone}
    return {**values, "training": shared, "question": f"Which network of {path.name} is better?", "arms": arms}


def plain_name(name: str) -> str:
    """A name of letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80]


def _unused(name: str, names: set[str]) -> str:
    number, one = 2, name
    while one in names:
        one, number = f"{name}-{number}", number + 1
    return one
