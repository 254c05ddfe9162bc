"""Seeds of one arm trained as one program: every layer computes all seeds' batches with all seeds' weights at once.

The networks here are small, so one of them leaves most of a CUDA device idle, and a step is mostly the starting of
kernels. The runner does not use this yet: whether and where it is faster has not been measured on a device
(``benchmarks/on_cuda.py`` does).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from assay import spec
from assay.data import TrainingData
from assay.nets import parse
from assay.nets.build import Network, build
from assay.spec.training import Precision
from assay.train.cuda.learner import EVALUATION_BATCH, autocast_to, loss_of, scaled
from assay.train.cuda.replay import DeviceCopies, Replay, StepInputs, pinned, sent, weakly
from assay.train.engine import class_weights_of, split_of
from assay.train.learner import Batch, Objective
from assay.train.parameters import FlatParameters
from assay.train.scaling import Scaling, scaling_of
from assay.train.task import Task
from assay.train.updates import update_rule


class _Penalised(nn.Module):
    """A network that returns its logits and its penalty, both from the weights that it is called with."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        self.network.set_dropout_keys(keys)
        penalty = self.network.penalty()
        return self.network(images), images.new_zeros(()) if penalty is None else penalty


class StackedLearner:
    """Several runs that differ by seed alone, one step of all at a time, each with its own batch.

    All have one learning rate, so a schedule that follows each run's own history (a plateau), and stopping early,
    are for runs that are trained one by one.

    Args:
        networks: One for each seed, of the same layers, with their initial weights.
        optimizer: Its settings.
        scalings: Of each seed's images.
        objectives: Of each seed.
        batch_size: As for ``CudaLearner``.
        precision, device, training: As for ``CudaLearner``.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        optimizer: spec.Optimizer,
        scalings: Sequence[Scaling],
        objectives: Sequence[Objective],
        *,
        batch_size: int,
        precision: Precision = "bfloat16",
        device: str = "cuda",
        training: spec.Training | None = None,
    ) -> None:
        self.device, self.precision = torch.device(device), precision
        self._networks = [network.to(self.device) for network in networks]
        flat = [FlatParameters(network) for network in self._networks]
        self._layout = flat[0]
        values = torch.stack([parameters.values for parameters in flat])
        self.gradients = torch.zeros_like(values)
        self.optimizer = update_rule(
            optimizer, values, training=training, parts=self._layout.slices(), is_fused=False,
            matrices=self._layout.matrices(networks[0].summary),
        )  # fmt: skip
        self._parameters = {name: view.requires_grad_() for name, view in self._layout.split(values.detach()).items()}
        self._gradients = self._layout.split(self.gradients)
        buffers = [dict(network.named_buffers()) for network in self._networks]
        self._buffers = {name: torch.stack([each[name] for each in buffers]) for name in buffers[0]}
        self._template = _Penalised(self._networks[0])
        offset = torch.stack([scaling.offset for scaling in scalings])
        factor = torch.stack([scaling.factor for scaling in scalings])
        self._offset = offset[:, None, None, None].to(self.device)
        self._factor = factor[:, None, None, None].to(self.device)
        self._losses = [loss_of(objective, self.device) for objective in objectives]
        self._device_copies = DeviceCopies(self.device)
        self._batch_size = batch_size
        self._replay: Replay | None = None
        if self.device.type == "cuda":
            torch.backends.cudnn.allow_tf32 = precision != "float32"

    def train_batches(self, batches: Sequence[Batch], *, step: int, learning_rate: float) -> Tensor:
        """One step of every run, counted from 0; each run's summed loss and hits, float64 [runs, 2] on the device.

        Args:
            batches: One for each run, all of one size; from one array of images, or each with images made for it.
            step: Of the whole run.
            learning_rate: Of this step.
        """
        self._template.train()
        each = [
            StepInputs.of(batch, network.dropout_keys(step), step=step, learning_rate=learning_rate)
            for batch, network in zip(batches, self._networks, strict=True)
        ]
        inputs = StepInputs.stacked(each)
        images = batches[0].images
        if len(images) == inputs.size:  # made for this step: the runs' images lie one after another
            images = np.concatenate([batch.images for batch in batches])
            inputs.indices.add_(inputs.size * torch.arange(len(batches))[:, None])
        is_made = images is not batches[0].images
        if inputs.size != self._batch_size:
            source = sent(torch.from_numpy(images), self.device) if is_made else self._device_copies[images]
            return self._step(source, inputs.to(self.device))
        if self._replay is None:
            self._inputs = inputs.to(self.device)
            self._source = sent(torch.from_numpy(images), self.device) if is_made else self._device_copies[images]
            self._replay = Replay(weakly(self._step, self._source, self._inputs), self.device)
        if is_made:
            self._source.copy_(pinned(torch.from_numpy(images), self.device), non_blocking=True)
        self._inputs.copy_(inputs)
        return self._replay()

    def _step(self, images: Tensor, inputs: StepInputs) -> Tensor:
        logits, penalties = self._forward(images, inputs.indices, inputs.keys)
        each = [losses(logits[run], inputs.of_run(run)).mean() for run, losses in enumerate(self._losses)]
        stacked = torch.stack(each)
        # A run's loss depends on its own weights alone, so the gradient of the sum is each run's gradient.
        found = torch.autograd.grad((stacked + penalties).sum(), list(self._parameters.values()))
        for name, gradient in zip(self._parameters, found, strict=True):
            self._gradients[name].copy_(gradient)
        self.optimizer.step(self.gradients, inputs.reals[0, 0], inputs.reals[0, 1])
        hits = (logits.detach().argmax(-1) == inputs.classes).sum(-1)
        return torch.stack([stacked.detach().double() * inputs.size, hits.double()], -1)

    def _forward(self, images: Tensor, indices: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, float32 [runs, batch, classes], and penalties [runs]."""
        pixels = scaled(images, indices, self._offset, self._factor)
        with autocast_to(self.device, self.precision):
            logits, penalties = vmap(self._call)(self._parameters, self._buffers, pixels, keys)
        return logits.float(), penalties.float()

    def _call(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor, keys: Tensor
    ) -> tuple[Tensor, Tensor]:
        tensors: dict[str, Any] = {f"network.{name}": value for name, value in {**parameters, **buffers}.items()}
        found: tuple[Tensor, Tensor] = functional_call(self._template, tensors, (images, keys))
        return found

    @torch.no_grad()
    def score(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]
    ) -> list[tuple[float, int]]:
        """Each run's summed cross-entropy (nats) and hits in evaluation mode.

        Args:
            images, labels: As for ``Learner.score``.
            indices: Each run's own images [runs, n].
        """
        self._template.eval()
        total = torch.zeros(len(indices), 2, dtype=torch.float64, device=self.device)
        for start in range(0, indices.shape[1], EVALUATION_BATCH):
            chosen = indices[:, start : start + EVALUATION_BATCH]
            targets = torch.from_numpy(np.asarray(labels[chosen], dtype=np.int64)).to(self.device)
            unused = self._networks[0].dropout_keys(0)
            keys = torch.from_numpy(unused).to(self.device).expand(len(indices), -1, -1)
            logits, _ = self._forward(self._device_copies[images], torch.from_numpy(chosen).to(self.device), keys)
            losses = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            total[:, 0] += losses.view(targets.shape).double().sum(1)
            total[:, 1] += (logits.argmax(-1) == targets).sum(1)
        return [(loss, int(hits)) for loss, hits in total.tolist()]

    def weights(self) -> list[dict[str, Tensor]]:
        """Each run's parameters and moving statistics, copied, under the names of ``nets.build.Network``."""
        named = {**self._parameters, **self._buffers}
        order = list(self._networks[0].state_dict())
        return [
            {name: named[name][run].detach().to("cpu", copy=True) for name in order}
            for run in range(len(self._networks))
        ]


def stacked_of(
    tasks: Sequence[Task], data: TrainingData, *, precision: Precision = "bfloat16", device: str = "cuda"
) -> StackedLearner:
    """The runs of one arm with several seeds, with their initial weights.

    Args:
        tasks: They differ by seed (or fold) alone.
        data: The training images.
        precision, device: As for ``StackedLearner``.
    """
    training = tasks[0].arm.training
    networks, scalings, objectives = [], [], []
    for task in tasks:
        learned = split_of(task, data).training
        shape = data.images.shape[1:]
        networks.append(build(parse(task.arm.layers), (shape[0], shape[1], shape[2]), task.num_classes, task.streams))
        scalings.append(scaling_of(data.images, task.data.scaling, learned))
        weights = class_weights_of(training, np.asarray(data.labels[learned]), task.num_classes)
        objectives.append(Objective(weights, training.label_smoothing))
    return StackedLearner(
        networks,
        training.optimizer,
        scalings,
        objectives,
        batch_size=training.batch_size,
        precision=precision,
        device=device,
        training=training,
    )
