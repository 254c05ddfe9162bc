"""A finished run as the teacher of another one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import TrainingData
from ..errors import RunError
from ..nets.threads import one_thread
from .learner import Batch
from .parts import split_of
from .predictor import Predictor, predictor_of
from .task import Task

_BATCH = 500


@dataclass(frozen=True, eq=False)
class Teacher:
    """What a finished run says of the student's training images, softened.

    Args:
        predictor: The run's network, with the views that it looks at.
        temperature: What logits are divided by.
        table: Its softened probabilities of the training images, where these never change [n, classes], and zeros for
            images that are not trained on; else it looks at every batch as the student sees it.
    """

    predictor: Predictor
    temperature: float
    table: NDArray[np.float32] | None

    def taught(self, batch: Batch, indices: NDArray[np.int64]) -> Batch:
        """The batch with the teacher's softened probabilities.

        Args:
            batch: Images, in the order of ``indices``.
            indices: Their places among the training images.
        """
        if self.table is not None:
            return replace(batch, teacher=self.table[indices])
        return replace(batch, teacher=self._softened(np.take(batch.images, batch.indices, axis=0)))

    def _softened(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with one_thread():  # so that a student's bits do not depend on threads
            soft: NDArray[np.float32] = torch.softmax(self.predictor.logits(images) / self.temperature, 1).numpy()
        return soft


def teacher_of(task: Task, data: TrainingData) -> Teacher | None:
    """The teacher of a run, with its weights; ``None`` where its arm has none.

    Args:
        task: The student.
        data: Its training images, as they are stored.

    Raises:
        RunError: The teacher's weights are not there, or are another run's.
    """
    distillation, arm = task.arm.training.distillation, task.arm.teacher
    if distillation is None:
        return None
    if arm is None or task.teacher is None:
        raise RunError(f'the teacher "{distillation.teacher}" is not there', "train both as arms of one study")
    own = replace(task, arm=arm, seed=task.teacher_seed, base=task.teacher_base, teacher=None, member=0)
    predictor = predictor_of(own, data)
    predictor.load_weights(_weights(task.teacher, task.teacher_run))
    teacher = Teacher(predictor, distillation.temperature, None)
    if task.arm.training.augmentation is not None:
        return teacher
    chosen = split_of(task, data).training
    table = np.zeros((len(data.images), task.num_classes), np.float32)
    for start in range(0, len(chosen), _BATCH):
        places = chosen[start : start + _BATCH]
        table[places] = teacher._softened(np.take(data.images, places, axis=0))
    return replace(teacher, table=table)


def _weights(path: Path, run: str) -> dict[str, Tensor]:
    fix = "run the study again, which trains the teacher anew"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise RunError(f"the teacher's weights cannot be read ({error})", fix) from None
    if metadata.get("run") != run:
        raise RunError("the teacher's weights are another run's", fix)
    return tensors
