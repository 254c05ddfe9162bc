"""A network that trains on kernels: flat parameter vectors, and training and evaluation of a batch.

Each kind of pass (packing weights, training, scoring, logits) is recorded as a command list when it is first asked for
with a batch size, and run from then on. Between runs Python changes only what the calls read: image indices, classes,
dropout keys and the parameters themselves.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...nets import Summary
from ...nets.fixed_point import roundings_of
from ...seeds import Streams
from ..learner import PLAIN, Objective
from ..teacher_loss import taught
from . import images, loss, quantizing
from .blocks import Weighted
from .buffers import BatchInfo, Floats
from .commands import CommandList, Team
from .epilogue_op import EpilogueOp
from .image_norms import ImageNormOp
from .plan import blocks_of
from .program import Program, WeightsOp
from .rounding import RoundingOp
from .scales import Scales
from .slopes import SlopesOp
from .vectors import LANES

RANGES = "scales.ranges"  # as ``nets.build.Network`` calls how large its values are


class FusedNetwork:
    """Weights of a network as one flat vector, and the passes over a batch.

    In ``values`` and ``gradients``, float32 vectors of all trained parameters, convolution kernels lie as [height,
    width, inputs, outputs] and dense kernels as [inputs, units]; ``load`` and ``state`` take and give the names and
    layouts of ``nets.build.Network``.

    Args:
        summary: The network.
        precision: "bfloat16" or "float32".
        max_batch: The largest batch of training or evaluation.
        streams: Of the run.
        threads: Threads that share each kernel.
        objective: What training minimizes.

    Raises:
        NotFused: The kernels do not take this network.
    """

    def __init__(
        self,
        summary: Summary,
        *,
        precision: Literal["float32", "bfloat16"],
        max_batch: int,
        streams: Streams,
        threads: int = 1,
        objective: Objective = PLAIN,
    ) -> None:
        self.objective = objective
        self.program = Program(
            blocks_of(summary), summary.input_shape, precision=precision, max_batch=max_batch, streams=streams
        )
        self.team = Team(threads)
        self._command_lists: dict[tuple[int, str], CommandList] = {}
        self._has_images = {row.name: len(row.input_shape) == 3 for row in summary.layers}
        self._order = [row.name for row in summary.layers if row.parameters]
        norms = [op for ops in self.program.post_ops for op in ops if isinstance(op, EpilogueOp | ImageNormOp)]
        self._norms = {op.plan.norm: op for op in norms if op.plan.norm is not None}
        slopes = [op for ops in self.program.post_ops for op in ops if isinstance(op, SlopesOp)]
        self._slopes = {op.plan.name: op for op in slopes}
        self._views: dict[str, dict[str, slice]] = {name: {} for name in self._order}  # by layer, then by parameter
        # Parameters lie in the order of layers, and every op works on views: the optimizer's step is one pass over one
        # vector, and nothing is copied between it and the kernels.
        offset = 0
        for name, views in self._views.items():
            for parameter, size in self._sizes(name).items():
                views[parameter] = slice(offset, offset + size)
                offset += size
        self.values = torch.zeros(offset)
        self.gradients = torch.zeros(offset)
        self.used = torch.zeros(offset)  # with kernels in whole numbers, where these are trained so
        roundings = [
            op
            for ops in self.program.post_ops
            for op in ops
            if isinstance(op, RoundingOp) or (isinstance(op, EpilogueOp) and op.plan.after is not None)
        ]
        self.scales: Scales | None = None
        if summary.quantization is not None:
            self.scales = Scales(roundings_of(summary), roundings, -(-max_batch // LANES))
        self._bind()
        channels = self.program.images.channels
        # Arrays at fixed addresses, which recorded calls read; each batch overwrites them.
        self._indices = np.zeros(max_batch, np.int64)
        self._classes, self._partners = np.zeros((2, max_batch), np.int64)
        self._shares = np.ones(max_batch, np.float32)
        self._equal_weights = np.ones(self.program.classes, np.float32)
        self._offset, self._factor = np.zeros((2, channels), np.float32)
        self._result = np.zeros(2)  # written by every pass with a loss: its sum, and hits
        self._images = np.zeros((1, *summary.input_shape), np.uint8)

    def _sizes(self, name: str) -> dict[str, int]:
        if name in self._norms:
            channels = self._norms[name].plan.inputs[2]
            return {"gamma": channels, "beta": channels}
        if name in self._slopes:
            return {"alpha": self._slopes[name].plan.size}
        plans = [op.plan for op in self.program.weighted if op.plan.name == name]
        sizes = {plan.kernel_name: plan.size for plan in plans if not plan.is_fixed}
        return {**sizes, "bias": plans[-1].outputs[2]} if plans[-1].has_bias else sizes

    def parts(self) -> list[slice]:
        """Where each parameter stands in the flat vectors."""
        return [part for views in self._views.values() for part in views.values()]

    def named_parts(self) -> dict[str, slice]:
        """The same by name, such as ``conv1.kernel``."""
        return {f"{name}.{parameter}": part for name, views in self._views.items() for parameter, part in views.items()}

    def _bind(self) -> None:
        values, used, gradients = self.values.numpy(), self.used.numpy(), self.gradients.numpy()
        for op in self.program.weighted:
            views = self._views[op.plan.name]
            if op.plan.is_fixed:  # no part of the vector; a gradient that an op computes all the same is left alone
                op.trained, op.weights, op.gradient = np.zeros((3, op.plan.size), np.float32)
            else:
                kernel = views[op.plan.kernel_name]
                op.trained, op.weights, op.gradient = values[kernel], used[kernel], gradients[kernel]
            if op.plan.coding is None:
                op.weights = op.trained
            if op.plan.has_bias:
                op.bias, op.bias_gradient = values[views["bias"]], gradients[views["bias"]]
        for name, norm in self._norms.items():
            gamma, beta = self._views[name].values()
            norm.gamma, norm.beta = values[gamma], values[beta]
            norm.gamma_gradient, norm.beta_gradient = gradients[gamma], gradients[beta]
        for name, slopes in self._slopes.items():
            alpha = self._views[name]["alpha"]
            slopes.alpha, slopes.alpha_gradient = values[alpha], gradients[alpha]

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over weights and moving statistics, by the names of ``nets.build.Network``."""
        self.values.copy_(self.join(state))
        for op in self._fixed_ops():
            op.trained[:] = _flat(state[f"{op.plan.name}.{op.plan.kernel_name}"]).numpy()
        for name, norm in self._norms.items():
            if isinstance(norm, ImageNormOp):
                continue
            norm.moving_mean[:] = state[f"{name}.moving_mean"].numpy()
            norm.moving_variance[:] = state[f"{name}.moving_variance"].numpy()
        if self.scales is not None:
            self.scales.ranges[:] = state[RANGES].numpy()
            self.scales.show()

    def state(self) -> dict[str, Tensor]:
        """Copies of weights and moving statistics, in the order of ``nets.build.Network``."""
        tensors: dict[str, Tensor] = {}
        fixed = {op.plan.name: op for op in self._fixed_ops()}
        for name in self._order:
            if name in fixed:
                plan, kernel = fixed[name].plan, torch.from_numpy(fixed[name].trained.copy())
                tensors[f"{name}.{plan.kernel_name}"] = _shaped(kernel, plan)
            tensors.update(self._tensors(name, self.values))
            norm = self._norms.get(name)
            if isinstance(norm, EpilogueOp):
                tensors[f"{name}.moving_mean"] = torch.from_numpy(norm.moving_mean.copy())
                tensors[f"{name}.moving_variance"] = torch.from_numpy(norm.moving_variance.copy())
        if self.scales is not None:
            tensors[RANGES] = torch.from_numpy(self.scales.ranges.copy())
        return tensors

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """A flat vector (weights, gradients, an optimizer's slot) by parameter, in the layouts of ``Network``."""
        return {key: value for name in self._order for key, value in self._tensors(name, vector).items()}

    def join(self, tensors: dict[str, Tensor]) -> Tensor:
        """The inverse of ``split``."""
        vector = torch.empty_like(self.values)
        for name, views in self._views.items():
            for parameter, view in views.items():
                vector[view] = _flat(tensors[f"{name}.{parameter}"])
        return vector

    def _fixed_ops(self) -> list[WeightsOp]:
        return [op for op in self.program.weighted if op.plan.is_fixed]

    def _tensors(self, name: str, vector: Tensor) -> dict[str, Tensor]:
        tensors = {parameter: vector[view].clone() for parameter, view in self._views[name].items()}
        for plan in (op.plan for op in self.program.weighted if op.plan.name == name and not op.plan.is_fixed):
            tensors[plan.kernel_name] = _shaped(tensors[plan.kernel_name], plan)
        if name in self._slopes and self._has_images[name]:
            tensors["alpha"] = tensors["alpha"].reshape(self._slopes[name].plan.slopes).permute(2, 0, 1).contiguous()
        return {f"{name}.{parameter}": value for parameter, value in tensors.items()}

    def put_images(self, images: NDArray[np.uint8], indices: NDArray[np.int64], offset: Floats, factor: Floats) -> None:
        """Choose the next batch: images by index, to be scaled to (value - offset) * factor.

        Nothing is copied but indices and scaling; the next pass reads the images, which must live until then.

        Args:
            images: uint8 or float32 [n, height, width, channels].
            indices: int64 [batch].
            offset, factor: float32 [channels].

        Raises:
            ValueError: There are more images than ``max_batch``.
        """
        if len(indices) > len(self._indices):
            raise ValueError(f"{len(indices)} images for buffers of {len(self._indices)}")
        self._images = np.ascontiguousarray(images)
        self._indices[: len(indices)] = indices
        self._offset[:], self._factor[:] = offset, factor

    def prepare(self, batch: int) -> None:
        """Make the kernels that train batches of so many images and score them."""
        for count, kind in ((batch, "train"), (0, "pack"), (batch, "score")):
            self._commands(count, kind).load()

    def pack(self) -> None:
        """Prepare the weights for evaluation: after every change of ``values``."""
        self.team.run(self._commands(0, "pack"))

    def train_batch(
        self,
        classes: NDArray[np.int64],
        *,
        step: int,
        partners: NDArray[np.int64] | None = None,
        shares: Floats | None = None,
        teacher: Floats | None = None,
    ) -> tuple[float, int]:
        """Forward and backward of the chosen batch, with weights packed anew; gradients are left in ``gradients``.

        Args:
            classes: int64 [batch].
            step: Counted from 0; it chooses the dropout masks.
            partners, shares: With mixup or CutMix, the other class of each image, and the first one's share of the
                target.
            teacher: With distillation, the teacher's softened probabilities, float32 [batch, classes].

        Returns:
            Summed loss of the objective (nats) and hits.
        """
        count = len(classes)
        self._classes[:count] = classes
        self._partners[:count] = classes if partners is None else partners
        self._shares[:count] = 1 if shares is None else shares
        self.program.set_step(step)
        distillation = self.objective.distillation
        if distillation is None or teacher is None:
            result = self._run(count, "train")
            self._learn_scales(count)
            return result
        # Ten numbers an image: NumPy between the two halves of the pass is fast enough, and needs no kernel of its own.
        loss, hits = self._run(count, "forward")
        taught_loss, gradient = taught(self._logits(count), teacher, distillation)
        lanes = self.program.logit_gradient.reshape(-1, self.program.stored_classes, LANES)
        padded = np.zeros((len(lanes) * LANES, self.program.stored_classes), np.float32)
        padded[:count, : self.program.classes] = gradient
        lanes *= np.float32(1 - distillation.weight)
        lanes += padded.reshape(len(lanes), LANES, -1).transpose(0, 2, 1)
        self.team.run(self._commands(count, "backward"))
        self._learn_scales(count)
        return (1 - distillation.weight) * loss + taught_loss, hits

    def _learn_scales(self, count: int) -> None:
        if self.scales is not None:
            self.scales.learn(count)

    def score(self, classes: NDArray[np.int64]) -> tuple[float, int]:
        """Summed cross-entropy (nats) and hits in evaluation mode of the chosen batch. Call ``pack`` first."""
        count = len(classes)
        self._classes[:count] = self._partners[:count] = classes
        self._shares[:count] = 1
        return self._run(count, "score")

    def logits(self, count: int) -> Floats:
        """Logits in evaluation mode of the chosen batch, float32 [count, classes]. Call ``pack`` first."""
        self._run(count, "logits")
        return self._logits(count)

    def _logits(self, count: int) -> Floats:
        """What the last pass left, float32 [count, classes]."""
        stored = self.program.stored_classes
        lanes = self.program.logits.reshape(-1, stored, LANES)
        ordered: Floats = lanes.transpose(0, 2, 1).reshape(-1, stored)[:count, : self.program.classes]
        return ordered

    def _run(self, count: int, kind: str) -> tuple[float, int]:
        commands = self._commands(count, kind)
        commands.rebind(0, *self._image_arguments(count))  # the data set's array may be another one
        self.team.run(commands)
        return float(self._result[0]), int(self._result[1])

    def _image_arguments(self, count: int) -> tuple[Any, ...]:
        grid, rows = self.program.images, self._images.shape[1]
        return (
            self._images.reshape(len(self._images), -1), self._indices[:count], grid.data, self._offset, self._factor,
            rows, grid.full_height, grid.full_width, grid.top, grid.left,
        )  # fmt: skip

    def record_images(self, commands: CommandList, batch: BatchInfo) -> None:
        """Record the call that loads the images; the first one of every pass."""
        load = images.load_images() if self._images.dtype == np.uint8 else images.load_float_images()
        commands.add(batch.blocks * self.program.images.pass_work, load, *self._image_arguments(batch.count))

    def _record_pack(self, commands: CommandList, *, for_training: bool) -> None:
        """Record the packing of the weights, rounded before where they are trained in whole numbers."""
        for op in self.program.weighted:
            plan = op.plan
            if plan.coding is not None:
                quantizing.record(
                    commands, op.trained, op.weights, plan.outputs[2], plan.coding, powers_of_two=plan.powers_of_two
                )
        self.program.pack(commands, for_training=for_training)

    def _commands(self, count: int, kind: str) -> CommandList:
        """The calls of a pass over so many images, recorded once: "pack", "logits", "score", "train", or its halves
        "forward" and "backward"."""
        # Sizes are arguments of calls, so each batch size has a list of its own; a run has two or three.
        key = (count, f"{kind} {self._images.dtype}")
        if key not in self._command_lists:
            self._command_lists[key] = self._record(count, kind)
        return self._command_lists[key]

    def _record(self, count: int, kind: str) -> CommandList:
        commands, program = CommandList(), self.program
        if kind == "pack":
            self._record_pack(commands, for_training=False)
            return commands
        is_training = kind in ("train", "forward", "backward")
        batch = program.batch(count, is_training=is_training)
        if kind == "backward":
            program.backward(commands, batch)
            return commands
        self.record_images(commands, batch)
        if is_training:  # the optimizer has changed the weights; in evaluation ``pack`` is called once for all batches
            self._record_pack(commands, for_training=True)
        program.forward(commands, batch)
        if kind == "logits":
            return commands
        objective = self.objective if is_training else PLAIN
        targets = (values[:count] for values in (self._classes, self._partners, self._shares))
        weights = self._equal_weights if objective.class_weights is None else objective.class_weights
        commands.add(
            0, loss.softmax_loss(), program.logits, *targets, weights, objective.label_smoothing,
            program.logit_gradient, program.stored_classes, self._result,
        )  # fmt: skip
        if kind == "train":
            program.backward(commands, batch)
        return commands


def _flat(value: Tensor) -> Tensor:
    """A parameter of ``nets.build.Network`` as it lies here: torch has outputs first."""
    if value.dim() > 1:
        value = value.permute({2: (1, 0), 3: (1, 2, 0), 4: (2, 3, 1, 0)}[value.dim()])
    return value.reshape(-1)


def _shaped(kernel: Tensor, plan: Weighted) -> Tensor:
    """The inverse of ``_flat`` for a kernel."""
    if plan.is_dense:
        return kernel.reshape(-1, plan.outputs[2]).t().contiguous()
    shaped = kernel.reshape(*plan.kernel, plan.depth, plan.outputs[2]).permute(3, 2, 0, 1)
    return shaped.contiguous(memory_format=torch.channels_last)
