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
    """A network that a document trained, with its published figures.

    Args:
        key: Its name, such as ``"A-no-dropout"``.
        document: ``"A"`` to ``"E"``.
        study: The shipped study that trains it.
        scored_on: The images that its figures are of, in the document's words.
        split: The split whose scores are compared with them.
        accuracy: The published accuracy, a fraction.
        training_images: The number of training images.
        epochs: The most epochs.
        arm: Its arm in the study.
        is_retrained: Whether it was trained on training and validation images together.
        waits: What is missing to run it; empty if nothing is.
        needs: The base whose weights it needs.
        parameters: Parameters, as the document counts them.
        trainable: Trainable parameters, as the document counts them.
        loss: The published loss, in nats.
        minutes: The published training time.
        inputs: How the document scales images.
        callbacks: The document's callbacks.
        augmentation: The document's augmentation.
        search: The document's search.
        base: The document's base.
        claim: What the document says of it.
        note: A further remark.
        curve_loss: The published loss of each epoch's steps, with dropout on.
        curve_accuracy: The published accuracy of each epoch's steps.
        curve_val_loss: The published validation loss after each epoch.
        curve_val_accuracy: The published validation accuracy after each epoch.
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
