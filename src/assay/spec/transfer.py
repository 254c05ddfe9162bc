"""The spec of a pretrained base: its network, its weights, and which blocks are trained."""

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
    """Pretrained layers in front of an arm's own layers.

    Args:
        name: The network: ``vgg16``, ``vgg19``, ``squeezenet``, ``resnet18`` or ``mobilenetv2``. Leave it out with
            ``weights = "run:..."``.
        weights: ``"imagenet"``; ``"random"``, to train from scratch; ``"run:"`` and the beginning of the id of a
            finished run in the store, or its study's name; or the path of a file, in a study file relative to it.
        content: The SHA-256 that the weights file must have.
        until: The last block that is kept. All blocks by default.
        train: The blocks that are trained: ``"none"``, ``"all"`` or ``"last N blocks"`` of those that are kept.
        unfreeze: From which epoch on (2 or later) more blocks are trained: ``{3: "last 1 block", 6: "all"}``.
        learning_rate_scale: A factor for the learning rate in the base, above 0 and at most 1,000; or a table of
            factors by block. A block that the table leaves out has 1.
        statistics: Batch normalization in trained blocks: ``"moving"`` updates the moving statistics, ``"frozen"``
            keeps and uses the given ones. ``"auto"`` is ``"moving"`` for random weights, else ``"frozen"``.
        preprocessing: How stored bytes are scaled. ``"own"``: as the weights were trained. By Keras's names:
            ``"caffe"`` (blue first, ImageNet's mean subtracted), ``"torch"`` (divided by 255, ImageNet's mean and
            deviation), ``"tf"`` (-1 to 1). ``"unit"`` is 0 to 1, ``"none"`` is 0 to 255.
        repeat: Repeat a grey image to as many channels as the base reads.
        size: The size in pixels that images are resized to (bilinear): a side, or height and width, 1 to 1,024. Images
            keep their size by default.
        copies: For augmentation with a frozen base, 0 to 1,000: this many augmented copies of each image are computed
            once for all seeds, and each epoch draws one of them. 0 augments in every step and runs the base each time.
        network: The network of the run that ``weights`` names. It is filled in; do not set it.

    Raises:
        SpecError: One or more rules are broken; ``problems`` holds each.

    Example:
        >>> base = assay.Base(name="vgg16", until="block3", train="last 1 block", learning_rate_scale=0.1)
        >>> base.is_frozen
        False
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
        """The beginning of the run's id if the weights are those of a run, else ``None``."""
        return self.weights.removeprefix(RUN).strip() if self.weights.startswith(RUN) else None

    @property
    def is_random(self) -> bool:
        """Whether the weights are drawn at random."""
        return self.weights == "random"

    @property
    def is_file(self) -> bool:
        """Whether the weights are a file of yours."""
        return self.run is None and self.weights not in ("imagenet", "random")

    @property
    def is_frozen(self) -> bool:
        """Whether no epoch trains any block."""
        return self.train == "none" and not self.unfreeze

    @property
    def keeps_statistics(self) -> bool:
        """Whether batch normalization in trained blocks keeps the statistics of the weights."""
        return self.statistics == "frozen" or (self.statistics == "auto" and not self.is_random)

    def trained_at(self, epoch: int, num_blocks: int) -> int:
        """Return how many of the last blocks are trained in an epoch.

        Args:
            epoch: The epoch, from 1.
            num_blocks: Blocks of the base.
        """
        parts = self.train
        for first in sorted(map(int, self.unfreeze)):
            if first <= epoch:
                parts = self.unfreeze[str(first)]
        return _count(parts, num_blocks)

    def first_epochs(self, num_blocks: int) -> tuple[int, ...]:
        """Return the first epoch that trains each block, first block first; 0 for never.

        Args:
            num_blocks: Blocks of the base.
        """
        epochs = [0] * num_blocks
        for epoch in (1, *sorted(map(int, self.unfreeze))):
            for block in range(num_blocks - self.trained_at(epoch, num_blocks), num_blocks):
                epochs[block] = epochs[block] or epoch
        return tuple(epochs)

    def scale_of(self, block: str) -> float:
        """Return the factor of the learning rate in a block.

        Args:
            block: The block's name.
        """
        scale = self.learning_rate_scale
        return scale.get(block, 1.0) if isinstance(scale, dict) else scale

    def identity(self) -> dict[str, Any]:
        """Return what a run depends on, as JSON values. Weights with a known ``content`` are identified by it."""
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
