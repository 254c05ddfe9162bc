"""A run as a message to a worker: everything that it needs for training. The test split is no part of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..seeds import Streams
from ..spec import Arm, Data, Device

WEIGHTS = "weights.safetensors"  # what a finished run leaves in its folder
RUN_LEVELS = 3  # of folders that a run's files may make: a store that was moved or deleted meanwhile is not made again
FILES = ("images", "labels", "groups", "validation", "base", "teacher", "teacher_base")  # and published images


_OPTIONAL = ("groups", "validation", "base", "teacher", "teacher_base")


@dataclass(frozen=True)
class Task:
    """One run to be trained.

    Args:
        id: The run's fingerprint.
        arm: Network and training.
        data: How to split and scale.
        seed: Root seed.
        vary: Streams that the seed changes.
        num_classes: Classes in the data set.
        images, labels: Files of the training arrays, opened as memory maps.
        folder: Where this run's artifacts go.
        fold: Which fold is validation, from 1, where there are folds.
        published: Files of the test arrays, for a study that repeats a published protocol which validates on them;
            ``None`` in every other study.
        device: What trains it.
        pause_after: Stop after so many epochs and keep the checkpoint; no part of the run's identity or schedule.
        base: File of the base's weights, where the arm has a base with weights (``runner.bases``).
        groups: File of the training images' groups, where the data have any.
        validation: File of which training images are the source's own validation part, where the study asks for it.
        measures: Measures of validation images to take after each epoch, besides those that training goes by; no part
            of the run's identity.
        member: Which network of an ensemble it is, from 0.
        teacher: File of the weights of the run that teaches it, where the arm has a teacher: written by then.
        teacher_run: That run's fingerprint.
        teacher_seed: That run's seed.
        teacher_base: File of its base's weights.
    """

    id: str
    arm: Arm
    data: Data
    seed: int
    vary: tuple[str, ...]
    num_classes: int
    images: Path
    labels: Path
    folder: Path
    fold: int | None = None
    published: tuple[Path, Path] | None = None
    device: Device = "cpu"
    pause_after: int | None = None
    base: Path | None = None
    groups: Path | None = None
    validation: Path | None = None
    measures: tuple[str, ...] = ()
    member: int = 0
    teacher: Path | None = None
    teacher_run: str = ""
    teacher_seed: int = 0
    teacher_base: Path | None = None

    @property
    def streams(self) -> Streams:
        return Streams(self.seed, frozenset(self.vary), self.member)

    @property
    def members(self) -> tuple[Task, ...]:
        """The networks that it trains, as tasks of one network each: several of an ensemble."""
        number = self.arm.training.ensemble
        if number is None:
            return (self,)
        training = self.arm.training.model_copy(update={"ensemble": None})
        arm = self.arm.model_copy(update={"training": training})
        return tuple(replace(self, arm=arm, member=index) for index in range(number))

    def to_json(self) -> dict[str, Any]:
        """The task as plain values, for a message to a worker."""
        data = self.data.model_dump(mode="json", exclude_none=True)
        values = {**asdict(self), "arm": self.arm.model_dump(mode="json"), "data": data}
        values["published"] = list(map(str, self.published)) if self.published else None
        return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Task:
        return cls(
            **{
                **values,
                "arm": Arm.of(values["arm"]),
                "data": Data.of(values["data"]),
                "vary": tuple(values["vary"]),
                "measures": tuple(values.get("measures", ())),
                "published": tuple(map(Path, values["published"])) if values["published"] else None,
                **{key: Path(values[key]) if values.get(key) else None for key in _OPTIONAL},
                **{key: Path(values[key]) for key in ("images", "labels", "folder")},
            }
        )
