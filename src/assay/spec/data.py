"""What to learn from: the data set, its validation split, its scaling."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..errors import Problem
from .base import Problems, Spec


class Reading(Spec):
    """How to read files that leave something open. What is not given is worked out and told.

    Args:
        label: Where the label stands: ``first``, ``last``, or the name of a column.
        image: The name of the column that holds file names or encoded images.
        header: Whether the first row of a table names its columns.
        shape: Rows, columns and (unless 1) channels that the values of one row form.
        labels: The file that holds the labels, where they lie apart from the images.
        classes: Class names in the order of their labels, or the number of classes.
        size: Height and width that every image is resized to; without it images of mixed sizes are refused.
        channels: 1 turns every image grey, 3 into red, green and blue; unless given, as the first image.
        background: The grey level, 0 to 255, that shows through where an image is transparent.
        skip_bad: Leave out files that are no images, instead of refusing the data set.
    """

    label: str | None = Field(default=None, min_length=1)
    image: str | None = Field(default=None, min_length=1)
    header: bool | None = None
    shape: tuple[int, ...] | None = None
    labels: str | None = Field(default=None, min_length=1)
    classes: tuple[str, ...] | int | None = None
    size: tuple[int, int] | None = None
    channels: Literal[1, 3] | None = None
    background: int = Field(default=255, ge=0, le=255)
    skip_bad: bool = False

    @field_validator("shape", "size")
    @classmethod
    def _is_a_shape(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is None:
            return None
        if len(value) not in (2, 3) or min(value) < 1 or max(value) > MAX_SIDE or value[2:] not in ((), (1,), (3,)):
            raise ValueError(f"got {list(value)}; give [height, width] or [height, width, 3], 1 to {MAX_SIDE} pixels")
        return value

    @field_validator("classes")
    @classmethod
    def _are_classes(cls, value: tuple[str, ...] | int | None) -> tuple[str, ...] | int | None:
        names = range(value) if isinstance(value, int) else value
        if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
            raise ValueError(f"got {value!r}; give at least 2 classes, each once")
        return value


MAX_SIDE = 4096


class Data(Spec):
    """The data of a study.

    Args:
        name: A name from the registry (``assay data list``); with ``path`` or ``content``, what to call the data.
        path: A file or folder of one's own, instead of a registered name. In a study file, relative to that file.
        test: Where the test split comes from when ``path`` has none of its own: another file or folder of the same
            form, or a share of the images, drawn for each class and apart from everything else.
        content: The SHA-256 that the content must have. Alone, it names arrays handed over from Python.
        read: How to read ``path``, where the files leave something open.
        validation: Share (a float in (0, 1)) or count (an integer) of training images set aside for choices.
            The test split is never touched.
        stratified: Keep the class shares equal in training and validation.
        scaling: ``unit`` divides the stored bytes by 255, into [0, 1]; ``standard`` then subtracts the training
            images' mean and divides by their deviation; ``none`` feeds the bytes 0 to 255 as they are.
    """

    # Where the data come from is told by their content in a run's fingerprint, not by these.
    SOURCE: ClassVar[frozenset[str]] = frozenset({"name", "path", "test", "content", "read"})

    name: str = ""
    path: str | None = Field(default=None, min_length=1)
    test: str | float | None = None
    content: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    read: Reading | None = None
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

    @field_validator("test", mode="before")
    @classmethod
    def _is_a_place_or_a_share(cls, value: Any) -> Any:
        if value is None or (isinstance(value, str) and value) or (isinstance(value, float) and 0 < value < 1):
            return value
        raise ValueError(f"got {value!r}; give a file, a folder or a share such as 0.2")

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        problems = []
        if not (self.name or self.path or self.content):
            problems.append(Problem("there are no data", "add name (assay data list) or path (your files)", "name"))
        if self.path is None:
            for key in ("test", "read"):
                if getattr(self, key) is not None:
                    problems.append(Problem("this belongs to path, and there is none", "add path or remove it", key))
        if problems:
            raise Problems(problems)
        return self

    def treatment(self, name: str) -> Data:
        """How the data are split and scaled, under a name, and nothing of where they or their test split come from."""
        unsaid = dict.fromkeys(self.SOURCE - {"name"})
        return self.model_copy(update={**unsaid, "name": name})
