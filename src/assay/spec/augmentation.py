"""The augmentation of training images."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from ..errors import Problem
from .base import Problems, Spec
from .bounds import MAX_PIXELS_MOVED
from .own import checked, named_text, unused_left_out
from .schedule import accept_placeholders


class Augmentation(Spec):
    """Random changes to training images, drawn again for each use. Validation and test images are unchanged.

    Each kind draws uniformly from its range, from a random stream of its own. 0 switches a kind off. An image is
    flipped, zoomed, sheared, rotated, shifted and cropped with one resampling. Cutout follows, then mixup or CutMix.

    Args:
        shift: Pixels in each direction, fractions included, independently along rows and columns.
        rotation: Degrees in each direction about the image's centre, 0 to 180.
        zoom: In [0, 1). 0.1 scales both axes by the same factor, from 0.9 to 1.1.
        shear: Degrees by which vertical lines lean to either side, in [0, 90).
        flip: ``"horizontal"`` mirrors left and right with probability 1/2, ``"vertical"`` top and bottom, ``"both"``
            each of the two independently. ``"alternating"`` mirrors left and right in every other epoch; half of the
            images begin in the first. ``"none"`` by default.
        crop: Pixels of padding on every side before a random crop back to the original size: a shift by whole pixels.
        cutout: The side in pixels of a square inside the image that is set to ``fill_value``.
        mixup: The alpha of Beta(alpha, alpha), from which the share of each of two mixed images is drawn.
        cutmix: The alpha of Beta(alpha, alpha), from which the share of an image is drawn that remains when a rectangle
            of another image is pasted into it. ``mixup`` and ``cutmix`` exclude each other.
        fill: The pixels outside the image: ``"constant"`` (``fill_value``), ``"nearest"`` (the edge's pixel) or
            ``"reflect"`` (the mirrored image, with the edge repeated).
        fill_value: A byte, 0 to 255.
        interpolation: Between pixels: ``"bilinear"`` or ``"nearest"``.
        own: A function of your own, ``"my_code.py:jitter(amount=0.1)"``, applied after the others but before mixup and
            CutMix (docs/guides/own-code.md).

    Source: DeVries and Taylor (2017), "Improved regularization of convolutional neural networks with cutout"; Zhang et
    al. (2018), "mixup"; Yun et al. (2019), "CutMix".

    Example:
        >>> augmentation = assay.Augmentation(shift=2, rotation=10, flip="horizontal")
        >>> augmentation.changes_anything, assay.Augmentation().changes_anything
        (True, False)
    """

    model_config = ConfigDict(json_schema_extra=accept_placeholders)

    shift: float = Field(default=0.0, ge=0, le=MAX_PIXELS_MOVED)
    rotation: float = Field(default=0.0, ge=0, le=180)
    zoom: float = Field(default=0.0, ge=0, lt=1)
    shear: float = Field(default=0.0, ge=0, lt=90)
    flip: Literal["none", "horizontal", "vertical", "both", "alternating"] = "none"
    crop: int = Field(default=0, ge=0, le=MAX_PIXELS_MOVED, strict=True)
    cutout: int = Field(default=0, ge=0, le=MAX_PIXELS_MOVED, strict=True)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)
    fill: Literal["constant", "nearest", "reflect"] = "constant"
    fill_value: int = Field(default=0, ge=0, le=255, strict=True)
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    own: str | None = None

    @field_validator("own", mode="before")
    @classmethod
    def _own_can_be_read(cls, value: Any) -> Any:
        example = "functools.partial(jitter, amount=0.1)"
        value = named_text(value, example=example, text="my_code.py:jitter(amount=0.1)")
        return checked(value) if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = unused_left_out(handler(self), "own")
        return values if self.cutmix else {key: value for key, value in values.items() if key != "cutmix"}

    @model_validator(mode="after")
    def _mixes_in_one_way(self) -> Self:
        if self.mixup and self.cutmix:
            what = "mixup and cutmix both mix images in pairs"
            raise Problems([Problem(what, "give one of them; as levels of a factor they can be compared", "cutmix")])
        return self

    @property
    def moves_pixels(self) -> bool:
        """Whether any kind moves or resamples pixels."""
        return any((self.shift, self.rotation, self.zoom, self.shear, self.flip != "none", self.crop))

    @property
    def alternates(self) -> bool:
        """Whether images are mirrored in every other epoch."""
        return self.flip == "alternating"

    @property
    def mixes(self) -> bool:
        """Whether each image becomes a mixture of two images, with two classes."""
        return bool(self.mixup or self.cutmix)

    @property
    def changes_bytes(self) -> bool:
        """Whether any kind that works on bytes is on: all but ``own``."""
        return self.moves_pixels or bool(self.cutout or self.mixes)

    @property
    def changes_anything(self) -> bool:
        """Whether any kind is on."""
        return self.changes_bytes or self.own is not None
