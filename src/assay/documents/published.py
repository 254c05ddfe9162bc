"""The figures that the five documents report."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from ..data import WEIGHTS, has_weights
from ..errors import Problem, SpecError, nearest

DOCUMENTS = ("A", "B", "C", "D", "E")


@dataclass(frozen=True)
class System:
    """A network that a document trained, and what it reports.

    Args:
        key: Its name.
        document: "A" to "E".
        study: The shipped study that trains it.
        scored_on: What images its figures are of, in the document's words.
        split: Which of our scores stands beside them.
        accuracy: As reported, a fraction.
        training_images: How many it was trained on.
        epochs: At most.
        arm: Its arm in the study; its key unless given.
        is_retrained: It was trained on training and validation images together.
        waits: What is missing to run it here; empty if nothing is.
        needs: The base whose weights file it needs: without it, ``waits`` says where that belongs.
        parameters, trainable: As the document counts them.
        loss: As reported, in nats.
        minutes: Reported training time.
        inputs: How the document scales images.
        callbacks, augmentation, search, base, note: Further words on how it was trained.
        claim: What the document says of it.
        curve_loss, curve_accuracy: Of each epoch's steps, with dropout on.
        curve_val_loss, curve_val_accuracy: After each epoch.
    """

    key: str
    document: str
    study: str
    scored_on: str
    split: Literal["validation", "test"]
    accuracy: float
    training_images: int
    epochs: int
    arm: str = ""
    is_retrained: bool = False
    waits: str = ""
    needs: str = ""
    parameters: int | None = None
    trainable: int | None = None
    loss: float | None = None
    minutes: float | None = None
    inputs: str = ""
    callbacks: str = ""
    augmentation: str = ""
    search: str = ""
    base: str = ""
    claim: str = ""
    note: str = ""
    curve_loss: tuple[float, ...] = ()
    curve_accuracy: tuple[float, ...] = ()
    curve_val_loss: tuple[float, ...] = ()
    curve_val_accuracy: tuple[float, ...] = ()


def published() -> tuple[System, ...]:
    """All systems, in the documents' order."""
    return _published(tuple((name, has_weights(name)) for name in WEIGHTS))


def waiting_for(base: str) -> str:
    """The weights file that a system still needs, with where to get it; empty if the file is here."""
    if not base or has_weights(base):
        return ""
    return f"{WEIGHTS[base].file.name} (`assay data fetch {base}`, or put it into the folder weights of ASSAY_DATA)"


@cache
def _published(here: tuple[tuple[str, bool], ...]) -> tuple[System, ...]:
    text = (resources.files("assay.documents") / "published.toml").read_text()
    systems = []
    for values in tomllib.loads(text)["system"]:
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        waits = fields.pop("waits", "") or waiting_for(fields.get("needs", ""))
        systems.append(System(arm=fields.pop("arm", fields["key"]), waits=waits, **fields))
    return tuple(systems)


def chosen(keys: Sequence[str]) -> tuple[System, ...]:
    """The systems that documents' letters and systems' keys name; all if there are none.

    Raises:
        SpecError: A name is neither.
    """
    systems = published()
    all_names = [*DOCUMENTS, *(system.key for system in systems)]
    by_case = {name.lower(): name for name in all_names}
    problems = [
        Problem(f'"{key}" is no document and no system', nearest(key, all_names))
        for key in keys
        if key.lower() not in by_case
    ]
    if problems:
        raise SpecError(problems)
    names = {by_case[key.lower()] for key in keys} or set(DOCUMENTS)
    return tuple(system for system in systems if system.key in names or system.document in names)
