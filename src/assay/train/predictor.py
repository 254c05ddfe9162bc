"""Evaluates a finished network on torch's layers in float32: the same figures, whichever path trained it."""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..data import TrainingData
from ..nets.build import Network
from ..nets.ensemble import members_of
from ..spec import Evaluation
from .features import base_outputs
from .logits import log_softmax
from .networks import network_of
from .parts import split_of
from .prepared import Prepared
from .scaling import Scaling, scaling_of
from .task import Task
from .views import views_of

BATCH = 500


class Predictor:
    """A network in evaluation mode, with the scaling of what it was trained on, and the views that it looks at."""

    def __init__(self, network: Network, scaling: Scaling, views: Evaluation | None = None) -> None:
        self.network = network.eval()
        self.scaling = scaling
        self.views = views

    @property
    def members(self) -> tuple[Predictor, ...]:
        """Predictors whose mean probability is this one's: of an ensemble one for each network.

        With several views an ensemble answers as a whole: the mean over views is one of logits.
        """
        networks = members_of(self.network)
        if len(networks) == 1 or self.views is not None:
            return (self,)
        return tuple(Predictor(network, self.scaling) for network in networks)

    @torch.no_grad()
    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        """Take over parameters and moving statistics; those of a base that never trained are there already."""
        self.network.load(tensors)

    @torch.no_grad()
    def logits(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> Tensor:
        """Logits [n, classes], of several views their mean."""
        return torch.cat([logits for _, logits in self._logits(images)])

    @torch.no_grad()
    def probabilities(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
        """The classes' probabilities, float32 [n, classes]."""
        batches = [torch.softmax(logits, 1) for _, logits in self._logits(images)]
        probabilities: NDArray[np.float32] = torch.cat(batches).numpy()
        return probabilities

    def hits(
        self, images: NDArray[np.uint8] | NDArray[np.float32], labels: NDArray[np.int64]
    ) -> tuple[float, NDArray[np.bool_]]:
        """Mean cross-entropy (nats), and which images are classified correctly [n]."""
        loss, hits, _ = self.judged(images, labels)
        return loss, hits

    @torch.no_grad()
    def judged(
        self, images: NDArray[np.uint8] | NDArray[np.float32], labels: NDArray[np.int64]
    ) -> tuple[float, NDArray[np.bool_], NDArray[np.float32]]:
        """As ``hits``, with natural logarithms of probabilities [n, classes]."""
        loss, hits, parts = 0.0, np.empty(len(labels), dtype=bool), []
        for chosen, logits in self._logits(images):
            targets = torch.from_numpy(np.asarray(labels[chosen], dtype=np.int64))
            loss += cross_entropy(logits, targets, reduction="sum").item()
            hits[chosen] = (logits.argmax(1) == targets).numpy()
            parts.append(log_softmax(logits.float().numpy()))
        return loss / len(labels), hits, np.concatenate(parts)

    def _logits(self, images: NDArray[np.uint8] | NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Indices and logits, batch by batch. A frozen base runs once over a data set, for all its runs."""
        base = self.network.summary.base
        is_kept = base is not None and base.is_cached and _is_file(images)
        features = base_outputs(images, self.network, self.scaling) if is_kept else None
        for start in range(0, len(images), BATCH):
            chosen = np.arange(start, min(start + BATCH, len(images)))
            if self.views is not None:
                stored = np.take(images, chosen, axis=0)
                places = np.arange(len(chosen))
                views = [self.network(self.scaling.apply(view, places)) for view in views_of(stored, self.views)]
                yield chosen, torch.stack(views).mean(0)
                continue
            if features is None:
                yield chosen, self.network(self.scaling.apply(images, chosen))
                continue
            values = torch.from_numpy(np.take(features, chosen, axis=0))
            is_vector = len(self.network.fixed_rows()[-1].output_shape) == 1
            yield chosen, self.network.answers(values.flatten(1) if is_vector else values.permute(0, 3, 1, 2))


def _is_file(images: NDArray[np.uint8] | NDArray[np.float32]) -> bool:
    """Whether they are all the images of a file: outputs for a part of one are not worth caching."""
    return isinstance(images, np.memmap) and isinstance(images.base, mmap)


def predictor_of(task: Task, data: TrainingData) -> Predictor:
    """The task's network, scaled as in training; its weights are still to be loaded."""
    height, width, channels = data.images.shape[1:]
    network = network_of(task.arm, (height, width, channels), task.num_classes, task.streams, task.base)
    base = network.summary.base
    if base is not None:
        return Predictor(network, Prepared(base.preparation), task.arm.training.evaluation)
    scaling = scaling_of(data.images, task.data.scaling, split_of(task, data).training)
    return Predictor(network, scaling, task.arm.training.evaluation)
