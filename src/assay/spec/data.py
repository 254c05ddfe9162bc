"""What to learn from: the data set, its validation split, its scaling."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from .base import Spec


class Data(Spec):
    """The data of a study.

    Args:
        name: A name from the registry (``assay data list``).
        validation: Share (a float in (0, 1)) or count (an integer) of training images set aside for choices.
            The test split is never touched.
        stratified: Keep the class shares equal in training and validation.
        scaling: ``unit`` divides the stored bytes by 255, into [0, 1]; ``standard`` then subtracts the training
            images' mean and divides by their deviation; ``none`` feeds the bytes 0 to 255 as they are.
    """

    name: str = Field(min_length=1)
    validation: float | int = 0.1
    stratified: bool = True
    scaling: Literal["unit", "standard", "none"] = "unit"

    @field_validator("validation", mode="before")
    @classmethod
    def _is_a_share_or_a_count(cls, value: Any) -> Any:
        is_share = isinstance(value, float) and 0 < value < 1
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not is_share and not is_count:
            raise ValueError(f"got {value!r}; give a share such as 0.1 or a count of images such as 5000")
        return value
