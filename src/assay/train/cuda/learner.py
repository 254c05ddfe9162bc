"""The CUDA path: torch layers on a device that keeps images, weights and state, each step replayed from one graph.

Forward and backward are bfloat16 autocast in channels-last memory, or float32; weights, state, sums and the loss are
float32 or wider. Under autocast the gradients of kernels and biases come rounded to bfloat16, as products give them;
they are kept, clipped and applied in float32. The class runs on the CPU too, without the graph: that is how its
arithmetic is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from ... import spec
from ...nets.build import ALL, Network
from ...spec.training import Precision
from ..groups import groups_of
from ..learner import PLAIN, Batch, Learner, Objective
from ..parameters import FlatParameters
from ..prepared import Prepared
from ..scaling import Scaling
from ..updates import update_rule
from .replay import DeviceCopies, Replay, StepInputs, sent, weakly

EVALUATION_BATCH = 1000


class CudaLearner(Learner):
    """A torch network on a device.

    Args:
        network: With its initial weights; it moves to the device.
        optimizer: Its settings.
        scaling: Of the images; they are kept as they are stored and scaled batch by batch.
        batch_size: Batches of this size are replayed from a graph; a shorter one is computed step by step.
        precision: Of products and activations.
        device: ``cuda``, or ``cpu`` for tests.
        training: The protocol, for clipping and averaging.
        objective: What the training loss has besides cross-entropy.
        replays: Whether a graph is replayed at all; ``False`` computes every step call by call, for comparison.
    """

    path = "cuda"

    def __init__(
        self,
        network: Network,
        optimizer: spec.Optimizer,
        scaling: Scaling,
        *,
        batch_size: int,
        precision: Precision = "bfloat16",
        device: str = "cuda",
        training: spec.Training | None = None,
        objective: Objective = PLAIN,
        replays: bool = True,
    ) -> None:
        self.precision: Precision = precision
        self._replays = replays
        self.device = torch.device(device)
        self.network = network.to(self.device)
        network.open(ALL)
        self.parameters = FlatParameters(self.network)
        network.open(1)
        values, parts = self.parameters.values, self.parameters.slices()
        groups = groups_of(network.summary, self.parameters.named_slices())
        self.optimizer = update_rule(
            optimizer, values, training=training, parts=parts, is_fused=False, groups=groups,
            matrices=self.parameters.matrices(network.summary),
        )  # fmt: skip
        self._offset, self._factor = scaling.offset.to(self.device), scaling.factor.to(self.device)
        self._prepared = scaling if isinstance(scaling, Prepared) else None
        self._loss = loss_of(objective, self.device)
        self._batch_size = batch_size
        self._device_copies = DeviceCopies(self.device)
        self._staged: Tensor | None = None  # images that were augmented for one step, at one address
        self._inputs: StepInputs | None = None
        self._replay: Replay | None = None
        if self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = precision != "float32"

    def begin_epoch(self, epoch: int, steps_per_epoch: int) -> None:
        base = self.network.summary.base
        if base is not None and epoch in base.first_epochs:  # the captured step has other parameters
            self._inputs = self._replay = None
        self.network.open(epoch)
        super().begin_epoch(epoch, steps_per_epoch)

    def train_batch(self, batch: Batch, *, step: int, learning_rate: float) -> tuple[Tensor, Tensor]:
        """As ``Learner`` says, as float64 tensors on the device: nothing waits for them."""
        if not self.network.training:
            self.network.train()
        inputs = StepInputs.of(batch, self.network.dropout_keys(step), step=step, learning_rate=learning_rate)
        if len(batch) != self._batch_size or not self._replays:
            loss, hits = self._step(self._images_of(batch), inputs.to(self.device))
            return loss, hits
        images = self._images_of(batch)
        if self._inputs is None:
            self._inputs = inputs.to(self.device)
            self._replay = Replay(weakly(self._step, images, self._inputs), self.device)
        assert self._replay is not None
        self._inputs.copy_(inputs)
        loss, hits = self._replay()
        return loss, hits

    def _images_of(self, batch: Batch) -> Tensor:
        """The images on the device that the batch's indices choose from; of full batches always the same tensor."""
        if len(batch.images) != len(batch):
            return self._device_copies[batch.images]
        augmented = sent(torch.from_numpy(np.array(batch.images)), self.device)
        if len(batch) != self._batch_size:
            return augmented
        self._staged = augmented if self._staged is None else self._staged.copy_(augmented)
        return self._staged

    def _step(self, images: Tensor, inputs: StepInputs) -> Tensor:
        """Forward, backward and update; the summed loss and the hits, float64 [2]."""
        self.parameters.clear_gradients()
        self.network.set_dropout_keys(inputs.keys)
        logits = self._logits(images, inputs.indices)
        loss = self._loss(logits, inputs).mean()
        penalty = self.network.penalty()
        (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step(self.parameters.gradients, inputs.reals[0], inputs.reals[1])
        hits = (logits.detach().argmax(1) == inputs.classes).sum()
        return torch.stack([loss.detach().double() * inputs.size, hits.double()])

    def _logits(self, images: Tensor, indices: Tensor) -> Tensor:
        """float32 [batch, classes]."""
        if self._prepared is None:
            pixels = scaled(images, indices, self._offset, self._factor)
        else:
            pixels = self._prepared.prepared(images[indices], self._offset, self._factor)
        with autocast_to(self.device, self.precision):
            logits: Tensor = self.network(pixels)
        return logits.float()

    @torch.no_grad()
    def score(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> tuple[float, int]:
        total = torch.zeros(2, dtype=torch.float64, device=self.device)
        for logits, targets in self._evaluated(images, labels, indices):
            total[0] += cross_entropy(logits, targets, reduction="sum")
            total[1] += (logits.argmax(1) == targets).sum()
        loss, hits = total.tolist()
        return loss, int(hits)

    def logits_at(self, images: NDArray[np.uint8], indices: NDArray[np.int64]) -> NDArray[np.float32]:
        places = np.zeros(len(images), dtype=np.int64)  # no labels are needed
        batches = [logits for logits, _ in self._evaluated(images, places, indices)]
        values: NDArray[np.float32] = torch.cat(batches).float().cpu().numpy()
        return values

    @torch.no_grad()
    def _evaluated(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits and targets on the device, batch by batch."""
        self.network.eval()
        source = self._device_copies[images]
        for start in range(0, len(indices), EVALUATION_BATCH):
            chosen = indices[start : start + EVALUATION_BATCH]
            targets = torch.from_numpy(np.asarray(labels[chosen], dtype=np.int64)).to(self.device)
            yield self._logits(source, torch.from_numpy(chosen).to(self.device)), targets

    @torch.no_grad()
    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        self.network.eval()
        source = sent(torch.from_numpy(np.array(images)), self.device)
        places = torch.arange(len(images), device=self.device)
        starts = range(0, len(images), EVALUATION_BATCH)
        batches = [self._logits(source, places[start : start + EVALUATION_BATCH]) for start in starts]
        logits: NDArray[np.float32] = torch.cat(batches).cpu().numpy()
        return logits

    def weights(self) -> dict[str, Tensor]:
        return {name: value.detach().to("cpu", copy=True) for name, value in self.network.state().items()}

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        self.network.load(tensors)

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        return self.parameters.split(vector)

    def join(self, tensors: dict[str, Tensor]) -> Tensor:
        return self.parameters.join(tensors)


def scaled(images: Tensor, indices: Tensor, offset: Tensor, factor: Tensor) -> Tensor:
    """Stored images by index as a network sees them: float32 [..., channels, height, width], in channels-last memory.

    Args:
        images: As stored [n, height, width, channels].
        indices: Which of them [...].
        offset, factor: As in ``Scaling``; they broadcast to [..., height, width, channels].
    """
    pixels = images[indices].to(torch.float32)
    return pixels.sub_(offset).mul_(factor).movedim(-1, -3)


def autocast_to(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """A context in which products and activations have this precision."""
    if precision == "float32":
        return nullcontext()
    # No weight is used twice in a step, and a cache of rounded weights would outlive a graph's capture.
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def loss_of(objective: Objective, device: torch.device) -> Callable[[Tensor, StepInputs], Tensor]:
    """The objective of each image [batch], as a function of float32 logits [batch, classes] and a step's inputs."""
    weights = None if objective.class_weights is None else torch.from_numpy(objective.class_weights).to(device)

    def losses(logits: Tensor, targets: Tensor) -> Tensor:
        plain = cross_entropy(logits, targets, reduction="none", label_smoothing=objective.label_smoothing)
        return plain if weights is None else weights[targets] * plain

    def mixed(logits: Tensor, inputs: StepInputs) -> Tensor:
        shares = inputs.shares
        return shares * losses(logits, inputs.classes) + (1 - shares) * losses(logits, inputs.partners)

    return mixed
