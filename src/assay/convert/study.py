"""Writes converted models as a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import SpecError
from ..spec import Study
from ..spec.training import Optimizer

_PLACE = "your-images"


def study_of(
    models: Sequence[tuple[str, Sequence[str]]],
    path: Path,
    *,
    data: str = "",
    training: Mapping[str, Any] | None = None,
) -> tuple[Study, tuple[str, ...]]:
    """A study with an arm for each model, and what is left to fill in, a sentence each.

    Args:
        models: Names and layer words.
        path: The file that they come from.
        data: The data set that it loads; empty if that is not known.
        training: ``epochs``, ``batch_size``, ``optimizer``, as far as they are known.
    """
    notes = []
    values: dict[str, Any] = {"name": _name(path.stem), "data": {"name": data} if data else {"path": _PLACE}}
    if not data:
        notes.append(
            f'Say which data it is for: [data] name = "mnist", or path to images of yours in place of "{_PLACE}".'
        )
    settings = dict(training or {})
    if "optimizer" in settings:
        try:
            Optimizer.model_validate(settings["optimizer"])
        except (SpecError, ValueError):
            notes.append(f"Its optimizer has no words here: {settings.pop('optimizer')}; adam is what is written.")
    if settings:
        values["training"] = settings
    if len(models) == 1:
        values["question"] = f"How well does the network of {path.name} do?"
        values["network"] = {"layers": list(models[0][1])}
    else:
        values["question"] = f"Which network of {path.name} is better?"
        values["arms"] = [{"name": name, "layers": list(lines)} for name, lines in models]
    return Study.of(values), tuple(notes)


def _name(stem: str) -> str:
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in stem)
    return plain.strip("-.")[:80] or "converted"
