"""The spec of a pretrained base: the network, its weights, and which blocks train."""

from __future__ import annotations

import itertools
import re
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from ..errors import Problem
from .base import Problems, Spec
from .schedule import accept_placeholders

Preprocessing = Literal["own", "caffe", "torch", "tf", "unit", "none"]
RUN = "run:"
_PARTS = re.compile(r"none|all|last [1-9]\d{0,2} blocks?")
_PARTS_RULE = 'give "none", "all" or such as "last 2 blocks"'


class Base(Spec):
    """Layers that were trained before, in front of an arm's own.

    Args:
        name: Which network: ``vgg16``, ``vgg19``, ``squeezenet``, ``resnet18`` or ``mobilenetv2``; none with
            ``weights = "run:..."``.
        weights: ``imagenet``; ``random`` (drawn by the ``init`` stream, to train from scratch); ``run:`` and the start
            of a finished run's id in the store (or its study's name); or a file, in a study file relative to it.
        content: The SHA-256 that the weights file must have.
        until: The last block that is kept; all of them unless given.
        train: Which blocks train: ``none``, ``all`` or ``last N blocks`` (of those that are kept).
        unfreeze: From which epoch on (counted from 1) more of them do: ``{ 3 = "last 1 block", 6 = "all" }``.
        learning_rate_scale: What the learning rate is multiplied by in the base: a number, or a table of numbers by
            block (1 for a block that is left out).
        statistics: Whether batch normalization in blocks that train goes on averaging its statistics (``moving``) or
            keeps and uses those it has (``frozen``); ``auto`` is ``moving`` for random weights, else ``frozen``.
        preprocessing: What becomes of stored bytes: ``own`` is what the weights were trained with. By Keras's names:
            ``caffe`` (blue first, ImageNet's mean subtracted), ``torch`` (over 255, ImageNet's mean and deviation),
            ``tf`` (-1 to 1); ``unit`` is 0 to 1, ``none`` is 0 to 255.
        repeat: Grey images are repeated to as many channels as the base sees.
        size: Pixels that images are resized to, bilinearly: a side, or height and width; theirs unless given.
        copies: With augmentation and a frozen base: how many augmented copies of each image are computed, once for all
            seeds; each epoch draws one for each image. 0 augments anew in every step, which runs the base every time.
        network: What a run's network is made of, written in when the run is looked up; not for study files.
    """

    model_config = ConfigDict(json_schema_extra=accept_placeholders)

    name: str = ""
    weights: str = Field(default="imagenet", min_length=1)
    content: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    until: str = ""
    train: str = "none"
    unfreeze: dict[str, str] = {}
    learning_rate_scale: float | dict[str, float] = 1.0
    statistics: Literal["auto", "frozen", "moving"] = "auto"
    preprocessing: Preprocessing = "own"
    repeat: bool = True
    size: int | tuple[int, int] | None = None
    copies: int = Field(default=0, ge=0, le=1000, strict=True)
    network: dict[str, Any] | None = None

    @property
    def run(self) -> str | None:
        """The start of the run's id, where the weights are a run's."""
        return self.weights.removeprefix(RUN).strip() if self.weights.startswith(RUN) else None

    @property
    def is_random(self) -> bool:
        return self.weights == "random"

    @property
    def is_file(self) -> bool:
        """Whether the weights are in a file of the user's."""
        return self.run is None and self.weights not in ("imagenet", "random")

    @property
    def is_frozen(self) -> bool:
        """Whether no epoch trains any of it."""
        return self.train == "none" and not self.unfreeze

    @property
    def keeps_statistics(self) -> bool:
        """Whether batch normalization in blocks that train uses the statistics that came with the weights."""
        return self.statistics == "frozen" or (self.statistics == "auto" and not self.is_random)

    def trained_at(self, epoch: int, num_blocks: int) -> int:
        """How many of the last blocks train in an epoch, counted from 1."""
        parts = self.train
        for first in sorted(map(int, self.unfreeze)):
            if first <= epoch:
                parts = self.unfreeze[str(first)]
        return _count(parts, num_blocks)

    def first_epochs(self, num_blocks: int) -> tuple[int, ...]:
        """For each block, first to last, the epoch (from 1) from which on it trains; 0 for never."""
        epochs = [0] * num_blocks
        for epoch in (1, *sorted(map(int, self.unfreeze))):
            for block in range(num_blocks - self.trained_at(epoch, num_blocks), num_blocks):
                epochs[block] = epochs[block] or epoch
        return tuple(epochs)

    def scale_of(self, block: str) -> float:
        """What the learning rate is multiplied by in a block."""
        scale = self.learning_rate_scale
        return scale.get(block, 1.0) if isinstance(scale, dict) else scale

    def identity(self) -> dict[str, Any]:
        """What a run depends on, as JSON values: weights by their content where they have one."""
        values = self.model_dump(mode="json", exclude_defaults=True, exclude={"network"})
        if self.content is not None:
            values.pop("weights", None)
        return values

    @model_validator(mode="before")
    @classmethod
    def _tables_have_text_keys(cls, values: Any) -> Any:
        unfreeze = values.get("unfreeze") if isinstance(values, dict) else None
        if not isinstance(unfreeze, dict):
            return values
        return {**values, "unfreeze": {str(epoch): parts for epoch, parts in unfreeze.items()}}

    @field_validator("train")
    @classmethod
    def _names_blocks(cls, value: str) -> str:
        if not _PARTS.fullmatch(value):
            raise ValueError(f'got "{value}"; {_PARTS_RULE}')
        return value

    @field_validator("unfreeze")
    @classmethod
    def _opens_more_and_more(cls, value: dict[str, str]) -> dict[str, str]:
        problems = [
            Problem(f'"{epoch}" is no epoch', "give a whole number, 2 or more", epoch)
            for epoch in value
            if not re.fullmatch(r"[1-9]\d{0,5}", epoch) or int(epoch) < 2
        ]
        wrong = {epoch: parts for epoch, parts in value.items() if not _PARTS.fullmatch(parts)}
        problems += [Problem(f'got "{parts}"', _PARTS_RULE, epoch) for epoch, parts in wrong.items()]
        if problems:
            raise Problems(problems)
        return {str(epoch): value[str(epoch)] for epoch in sorted(map(int, value))}

    @field_validator("learning_rate_scale")
    @classmethod
    def _is_positive(cls, value: float | dict[str, float]) -> float | dict[str, float]:
        scales = value.values() if isinstance(value, dict) else [value]
        if not all(0 < scale <= 1000 for scale in scales):
            raise ValueError(f"got {value}; give numbers above 0; what train leaves out is frozen")
        return value

    @field_validator("size")
    @classmethod
    def _is_a_size(cls, value: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        sides = () if value is None else (value,) if isinstance(value, int) else value
        if not all(1 <= side <= 1024 for side in sides):
            raise ValueError(f"got {value}; give 1 to 1,024 pixels")
        return value

    @model_validator(mode="after")
    def _names_one_network(self) -> Base:
        problems = []
        if self.run is None and not self.name:
            fix = 'give such as name = "vgg16", or weights = "run:..."'
            problems.append(Problem("the base has no name", fix, "name"))
        if self.run is not None and self.name:
            what = f'a run brings its own network, and "{self.name}" is named too'
            problems.append(Problem(what, "leave the name out", "name"))
        if self.run == "":
            problems.append(Problem("no run is named", "write the start of its id behind run:", "weights"))
        if self.copies and not self.is_frozen:
            what = f"{self.copies} copies are for a base that stays frozen, and this one trains"
            problems.append(Problem(what, 'leave copies out, or give train = "none"', "copies"))
        counts = [_count(parts, 1000) for parts in (self.train, *self.unfreeze.values())]
        if any(later <= earlier for earlier, later in itertools.pairwise(counts)):
            fix = "let each epoch open more blocks than the one before"
            problems.append(Problem("unfreeze opens no more than trains already", fix, "unfreeze"))
        if problems:
            raise Problems(problems)
        return self


def _count(parts: str, num_blocks: int) -> int:
    if parts in ("none", "all"):
        return num_blocks if parts == "all" else 0
    return min(int(parts.split()[1]), num_blocks)
