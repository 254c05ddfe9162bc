"""Twenty steps of training, loss and every weight, against Keras 3: on the fused and on the plain path, in float32."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import Tensor

from assay import spec
from assay.data import prepare
from assay.nets import LayerSummary, parse
from assay.nets.build import Network, build
from assay.seeds import Streams
from assay.train.fused.learner import FusedLearner
from assay.train.learner import Batch, Learner
from assay.train.plain import PlainLearner
from assay.train.scaling import Scaling

pytestmark = pytest.mark.filterwarnings(  # Keras on torch meets NumPy 2
    r"ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras\.src\.backend"
)

SEED, STEPS = 5, 20
# Both sides compute in float32, in different orders. A step's rounding is about 1e-7 of a weight; twenty steps of an
# optimizer that divides by what it has seen so far amplify it. Relative to each tensor's norm (an element near zero
# would tell nothing) it stays below 1e-4, where a wrong epsilon, term or initial value shows as 1e-3 or more.
TOLERANCE = 1e-4

SMALL = ["conv 5 3x3 relu", "batchnorm", "maxpool 2", "flatten", "dense 10 relu", "dense classes softmax"]
A = ["conv 32 3x3 relu", "batchnorm", "maxpool 2", "conv 64 5x5 relu", "batchnorm", "maxpool 2", "flatten",
     "dense 128 relu", "dense classes softmax"]  # fmt: skip
C_ONE = ["conv 16 3x3 relu", "maxpool 2", "flatten", "dense 80 relu", "dense classes softmax"]
C_L2 = ["conv 16 3x3 relu l2=0.01", *C_ONE[1:]]
C_TWO = ["conv 16 3x3 relu", "maxpool 2", "batchnorm", "conv 16 3x3 relu", "maxpool 2", "batchnorm", "flatten",
         "dense 80 relu", "batchnorm", "dense classes softmax"]  # fmt: skip
E = ["conv 10 3x3 relu", "maxpool 2 padding=same", "conv 4 3x3 relu", "maxpool 2 padding=same", "flatten",
     "dense 35 relu", "dense classes softmax"]  # fmt: skip
APART = ["conv 6 3x3 relu", "separable 8 3x3 relu padding=same", "maxpool 2",
         "depthwise 3x3 relu multiplier=2 stride=2", "conv 10 1x1", "globalavgpool", "softmax"]  # fmt: skip
LEARNED_SLOPES = ["zeropad 0+1x2", "conv 6 3x3", "prelu per=channel slope=0.25", "maxpool 2", "conv 8 3x3", "prelu",
                  "reshape -1", "dense 24", "prelu per=layer", "reshape 2x3x4", "conv 10 2x3", "globalavgpool",
                  "softmax"]  # fmt: skip
PARAMETERS = {
    "PReLU": ("alpha",),
    "Separable": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "BatchNorm": ("gamma", "beta", "moving_mean", "moving_variance"),
}

OPTIMIZERS: dict[str, tuple[dict[str, Any], Callable[[], keras.optimizers.Optimizer]]] = {
    "sgd": ({"name": "sgd"}, lambda: keras.optimizers.SGD()),
    "sgd momentum": ({"name": "sgd", "momentum": 0.9}, lambda: keras.optimizers.SGD(momentum=0.9)),
    "nesterov": (
        {"name": "sgd", "momentum": 0.9, "nesterov": True},
        lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True),
    ),
    "adam": ({"name": "adam"}, lambda: keras.optimizers.Adam()),
    "adamw": ({"name": "adamw"}, lambda: keras.optimizers.AdamW()),
    "rmsprop": ({"name": "rmsprop"}, lambda: keras.optimizers.RMSprop()),
    "rmsprop momentum centered": (
        {"name": "rmsprop", "momentum": 0.9, "centered": True, "epsilon": 1e-3},
        lambda: keras.optimizers.RMSprop(momentum=0.9, centered=True, epsilon=1e-3),
    ),
    "adadelta": ({"name": "adadelta", "learning_rate": 1.0}, lambda: keras.optimizers.Adadelta(1.0)),
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def as_keras(network: Network) -> keras.Sequential:
    """The same layers made of Keras's, with the same weights, ending in logits as ours do."""
    stack: list[Any] = [keras.layers.Input(network.summary.input_shape)]
    for row in network.summary.layers:
        layer, kind = row.layer, type(row.layer).__name__
        activation = getattr(layer, "activation", "linear").replace("softmax", "linear")
        l2 = getattr(layer, "l2", 0.0)
        options = {"activation": activation, "kernel_regularizer": keras.regularizers.L2(l2) if l2 else None}
        if kind == "Conv":
            stack.append(keras.layers.Conv2D(layer.filters, layer.kernel, layer.stride, layer.padding, **options))
        elif kind == "Depthwise":
            del options["kernel_regularizer"]
            stack.append(keras.layers.DepthwiseConv2D(
                layer.kernel, layer.stride, layer.padding, layer.multiplier, **options
            ))  # fmt: skip
        elif kind == "Separable":
            del options["kernel_regularizer"]
            stack.append(keras.layers.SeparableConv2D(
                layer.filters, layer.kernel, layer.stride, layer.padding, **options
            ))  # fmt: skip
        elif kind == "Dense":
            stack.append(keras.layers.Dense(row.output_shape[0], **options))
        elif kind == "MaxPool":
            stack.append(keras.layers.MaxPooling2D(layer.size, layer.stride, layer.padding))
        elif kind == "ZeroPad":
            stack.append(keras.layers.ZeroPadding2D(layer.padding))
        elif kind == "Reshape":
            stack.append(keras.layers.Reshape(layer.target))
        elif kind == "PReLU":
            axes = {"value": None, "channel": [1, 2], "layer": [1]}  # the one for a layer stands on a vector
            stack.append(keras.layers.PReLU(shared_axes=axes[layer.per]))
        else:
            others = {
                "BatchNorm": keras.layers.BatchNormalization, "Flatten": keras.layers.Flatten,
                "GlobalAvgPool": keras.layers.GlobalAveragePooling2D, "Activate": keras.layers.Identity,
            }  # fmt: skip
            stack.append(others[kind]())
    model = keras.Sequential(stack)
    for row, made in zip(network.summary.layers, model.layers, strict=True):
        values = network.get_submodule(row.name).state_dict()
        shapes = [variable.shape for variable in made.get_weights()]
        given = (values[name].detach().clone() for name in _names(row))
        orders = {4: (2, 3, 1, 0), 3: (1, 2, 0), 2: (1, 0), 1: (0,)}
        turned = (value.permute(orders[value.dim()]) for value in given)
        made.set_weights([value.reshape(shape).numpy() for value, shape in zip(turned, shapes, strict=True)])
    return model


def _names(row: LayerSummary) -> tuple[str, ...]:
    """A layer's parameters and statistics in Keras's order."""
    return PARAMETERS.get(type(row.layer).__name__, ("kernel", "bias")) if row.trainable else ()


def in_our_layout(name: str, value: Tensor) -> Tensor:
    """A tensor of Keras's as ours of that name; a depthwise kernel's last two axes are one."""
    if name.startswith("depthwise") or name.endswith("depthwise_kernel"):
        value = value.reshape(*value.shape[:2], 1, -1) if value.dim() == 4 else value
    orders = {4: (3, 2, 0, 1), 3: (2, 0, 1), 2: (1, 0), 1: (0,)}
    return value.permute(orders[value.dim()])


def weights_of(model: keras.Sequential, network: Network) -> dict[str, Tensor]:
    """Keras's weights and moving statistics under our names, in our layouts."""
    found = {}
    for row, made in zip(network.summary.layers, model.layers, strict=True):
        for part, value in zip(_names(row), made.get_weights(), strict=True):
            name = f"{row.name}.{part}"
            found[name] = in_our_layout(name, torch.from_numpy(np.array(value)))
    return found


def digits(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits, enlarged where a side of 28 is asked for, with a grey of their own at every pixel."""
    data = prepare("digits").training()
    grown = np.kron(data.images[..., 0], np.ones((1, side // 8, side // 8), np.uint8))
    margin = side - grown.shape[1]
    images = np.pad(grown, ((0, 0), (margin // 2, margin - margin // 2), (margin // 2, margin - margin // 2)))
    noise = np.random.default_rng(0).integers(-60, 60, images.shape)
    return np.clip(images * 0.7 + 40 + noise, 0, 255).astype(np.uint8)[..., None], np.asarray(data.labels, np.int64)


def batches(images: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Indices of twenty batches; every fifth is short, as the last of an epoch is."""
    rng = np.random.default_rng(2)
    for step in range(STEPS):
        yield rng.permutation(len(images))[: size - 7 if step % 5 == 4 else size]


def learner_of(path: str, network: Network, optimizer: spec.Optimizer, size: int) -> Learner:
    scaling = Scaling(torch.zeros(1), torch.full((1,), 1 / 255))
    if path == "plain":
        return PlainLearner(network, optimizer, scaling)
    learner = FusedLearner(
        network.summary, optimizer, scaling, precision="float32", batch_size=size, streams=Streams(SEED), threads=1
    )
    learner.load_weights({name: value.detach() for name, value in network.state_dict().items()})
    return learner


class Pair:
    """One of our learners and Keras's model, with the same initial weights, fed the same batches."""

    def __init__(self, words: Sequence[str], case: str, size: int, path: str, side: int) -> None:
        settings, make = OPTIMIZERS[case]
        self.optimizer = spec.Optimizer.of(settings)
        self.images, self.labels = digits(side)
        self.size = size
        self.network = build(parse(words), (side, side, 1), 10, Streams(SEED))
        self.model = as_keras(self.network)
        self.model.compile(make(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        self.learner = learner_of(path, self.network, self.optimizer, size)

    def steps(self) -> Iterator[float]:
        """Trains both, and tells how far the losses are apart, relative to Keras's, which has the penalty in it."""
        for step, chosen in enumerate(batches(self.images, self.size)):
            penalty = self.penalty()
            ours, _ = self.learner.train_batch(
                Batch(self.images, chosen, self.labels[chosen]),
                step=step,
                learning_rate=self.optimizer.learning_rate or 0.0,
            )
            self.model.reset_metrics()
            scaled = self.images[chosen].astype(np.float32) * np.float32(1 / 255)
            theirs = float(self.model.train_on_batch(scaled, self.labels[chosen]))
            yield abs(ours / len(chosen) + penalty - theirs) / theirs

    def penalty(self) -> float:
        weights = self.learner.weights()
        return sum(
            row.layer.l2 * float(weights[f"{row.name}.kernel"].double().square().sum())
            for row in self.network.summary.layers
            if getattr(row.layer, "l2", 0)
        )

    def distances(self) -> dict[str, float]:
        """How far each tensor is from Keras's, relative to its norm."""
        expected, weights = weights_of(self.model, self.network), self.learner.weights()
        assert weights.keys() == expected.keys()
        return {name: float((weights[name] - value).norm() / value.norm()) for name, value in expected.items()}

    def follow_keras(self) -> None:
        """Take over Keras's weights and its optimizer's state."""
        tensors = weights_of(self.model, self.network)
        parameters = [name for name in tensors if "moving" not in name]
        lists = {"mean": "_momentums", "square": "_velocities"}
        for slot in self.learner.optimizer.state:  # type: ignore[attr-defined]
            for name, variable in zip(parameters, getattr(self.model.optimizer, lists[slot]), strict=True):
                tensors[f"optimizer.{slot}.{name}"] = in_our_layout(name, variable.value.detach().clone())
        self.learner.load_weights(tensors)
        self.learner.load_slots(tensors)


@pytest.mark.parametrize("path", ["fused", "plain"])
@pytest.mark.parametrize("case", OPTIMIZERS)
def test_twenty_steps_of_every_optimizer_are_those_of_keras(case: str, path: str) -> None:
    pair = Pair(SMALL, case, 37, path, side=12)
    start = pair.learner.weights()
    assert max(pair.steps()) < TOLERANCE
    assert {name: far for name, far in pair.distances().items() if far > TOLERANCE} == {}
    assert not any(torch.equal(value, start[name]) for name, value in pair.learner.weights().items())


@pytest.mark.parametrize("path", ["fused", "plain"])
@pytest.mark.parametrize("words", [C_ONE, C_L2], ids=["none", "l2"])
def test_twenty_steps_of_document_c_are_those_of_keras(words: Sequence[str], path: str) -> None:
    pair = Pair(words, "sgd", 100, path, side=28)
    assert max(pair.steps()) < TOLERANCE
    assert {name: far for name, far in pair.distances().items() if far > TOLERANCE} == {}


@pytest.mark.parametrize("path", ["fused", "plain"])
@pytest.mark.parametrize("case", ["sgd momentum", "adam"])
def test_twenty_steps_with_learned_slopes_are_those_of_keras(case: str, path: str) -> None:
    pair = Pair(LEARNED_SLOPES, case, 37, path, side=12)
    start = pair.learner.weights()
    assert max(pair.steps()) < TOLERANCE
    assert {name: far for name, far in pair.distances().items() if far > TOLERANCE} == {}
    assert not any(torch.equal(value, start[name]) for name, value in pair.learner.weights().items())


@pytest.mark.parametrize("path", ["fused", "plain"])
@pytest.mark.parametrize(
    ("words", "optimizer", "size"),
    [
        pytest.param(A, "adam", 24, id="A 5x5 64"),
        pytest.param(C_TWO, "sgd", 100, id="C 2conv batchnorm"),
        pytest.param(E, "rmsprop", 128, id="E"),
        pytest.param(APART, "adam", 48, id="channels apart"),
    ],
)
def test_each_of_twenty_steps_of_deeper_networks_is_that_of_keras(
    words: Sequence[str], optimizer: str, size: int, path: str
) -> None:
    """Every step starts from Keras's weights and moments.

    Left to themselves these networks part after some steps, on any two codes in float32: a step takes a million
    decisions (relu, largest of a window), some within a rounding of a tie, and one of them taken otherwise moves a
    small gradient by a per cent, which batch normalization and steep first steps amplify tenfold every few steps. The
    same run in float64 agrees with itself to 1e-13 whichever way its sums are ordered. So here a few steps may differ
    by one such decision; the loss, which is continuous, may not.
    """
    pair = Pair(words, optimizer, size, path, side=28)
    far: list[dict[str, float]] = []
    for loss_distance in pair.steps():
        assert loss_distance < 2e-5
        far.append(pair.distances())
        pair.follow_keras()
    typical = {name: float(np.median([step[name] for step in far])) for name in far[0]}
    assert {name: distance for name, distance in typical.items() if distance > TOLERANCE} == {}
    assert max(max(step.values()) for step in far) < 0.05


@pytest.mark.parametrize("path", ["fused", "plain"])
def test_dropout_keeps_and_scales_as_keras_does(path: str) -> None:
    """Masks differ, of course; over many steps the share that is kept and what it is multiplied by do not."""
    rate, steps, size, side = 0.3, 20, 37, 12
    network = build(parse(["conv 5 3x3", f"dropout {rate}", "flatten", "dense classes softmax"]), (side, side, 1), 10,
                    Streams(SEED))  # fmt: skip
    layer = keras.layers.Dropout(rate, seed=1)
    images, labels = digits(side)
    learner = learner_of(path, network, spec.Optimizer.of("sgd"), size)
    ours, theirs, per_element = [], [], []
    seen: list[tuple[Tensor, Tensor]] = []
    if path == "plain":
        network.get_submodule("dropout1").register_forward_hook(
            lambda module, inputs, output: seen.append((inputs[0].detach().clone(), output.detach().clone()))
        )
    for step, chosen in enumerate(batches(images, size)):
        learner.train_batch(Batch(images, chosen, labels[chosen]), step=step, learning_rate=0.0)
        if path == "plain":
            before, after = (values.numpy().ravel() for values in seen.pop())
        else:
            op = learner.network.program.post_ops[0][0]  # type: ignore[attr-defined]
            lanes = (data.reshape(-1, 5 * (side - 2) ** 2, 16)[: len(chosen) // 16] for data in (op.y.data, op.z.data))
            before, after = (values.transpose(0, 2, 1).ravel() for values in lanes)
        kept = (after != 0)[before != 0]
        np.testing.assert_allclose(after[after != 0] / before[after != 0], 1 / (1 - rate), rtol=1e-6)
        ours.append(kept.mean())
        per_element.append(kept[: 16 * 5 * (side - 2) ** 2])
        keras_after = layer(torch.ones(kept.size), training=True).detach().numpy()
        np.testing.assert_allclose(keras_after[keras_after != 0], 1 / (1 - rate), rtol=1e-6)
        theirs.append((keras_after != 0).mean())
    # Four standard errors of a share; the means of the two differ by at most the root of two such errors.
    deviation = (rate * (1 - rate) / (steps * kept.size)) ** 0.5
    assert np.mean(ours) == pytest.approx(1 - rate, abs=4 * deviation)
    assert np.mean(theirs) == pytest.approx(1 - rate, abs=4 * deviation)
    # Every element is dropped in some steps and kept in others: how often varies as independent draws do.
    counts = np.sum(per_element, axis=0)
    assert counts.var() == pytest.approx(steps * rate * (1 - rate), rel=0.1)
