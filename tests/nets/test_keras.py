"""What a layer means is what Keras means by it."""

import os

import numpy as np
import pytest
import torch

from assay.nets import parse
from assay.nets.build import build
from assay.seeds import Streams

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

A = [
    *["conv 32 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.5", "conv 64 5x5 relu", "batchnorm", "maxpool 2"],
    *["dropout 0.5", "flatten", "dense 128 relu", "dense classes softmax"],
]
C = ["conv 16 3x3 relu", "maxpool 2", "conv 16 3x3 relu", "maxpool 2", "flatten", "dense 80 relu", "dense 10 softmax"]
E = [
    *["conv 10 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.25", "conv 4 3x3 relu", "flatten", "batchnorm"],
    *["dense 35 relu", "dense 10 softmax"],
]


def as_keras(network):
    """The same layers made of Keras's, with the same weights."""
    stack = [keras.layers.Input(network.summary.input_shape)]
    for row in network.summary.layers:
        layer, kind = row.layer, type(row.layer).__name__
        activation = getattr(layer, "activation", "linear").replace("softmax", "linear")
        if kind == "Conv":
            made = keras.layers.Conv2D(layer.filters, layer.kernel, layer.stride, layer.padding, activation=activation)
        elif kind == "Dense":
            made = keras.layers.Dense(row.output_shape[0], activation=activation)
        elif kind == "MaxPool":
            made = keras.layers.MaxPooling2D(layer.size, layer.stride, layer.padding)
        else:
            made = {
                "BatchNorm": keras.layers.BatchNormalization,
                "Dropout": lambda: keras.layers.Dropout(0.0),
                "Flatten": keras.layers.Flatten,
            }[kind]()
        stack.append(made)
    model = keras.Sequential(stack)
    for row, made in zip(network.summary.layers, model.layers, strict=True):
        values = {name: v.detach().numpy() for name, v in network.get_submodule(row.name).state_dict().items()}
        if "kernel" in values:
            order = (2, 3, 1, 0) if values["kernel"].ndim == 4 else (1, 0)
            made.set_weights([values["kernel"].transpose(order), values["bias"]])
        elif values:
            made.set_weights([values[name] for name in ("gamma", "beta", "moving_mean", "moving_variance")])
    return model


def images_of(shape, batch=16, seed=0):
    return np.random.default_rng(seed).uniform(size=(batch, *shape)).astype(np.float32)


def to_torch(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def network_of(words, input_shape=(28, 28, 1)):
    network = build(parse(words), input_shape, 10, Streams(3))
    rng = np.random.default_rng(4)
    with torch.no_grad():  # as after some training: nothing at the value it starts from
        for name, values in network.state_dict().items():
            if not name.endswith("kernel"):
                values.copy_(torch.from_numpy(rng.uniform(0.2, 1.5, values.shape)))
    return network


@pytest.mark.parametrize("words", [A, C, E], ids="ACE")
def test_logits_are_those_of_keras(words):
    network = network_of(words).eval()
    images = images_of((28, 28, 1))
    theirs = as_keras(network)(images, training=False).detach().numpy()
    ours = network(to_torch(images)).detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("words", [A, E], ids="AE")
def test_batch_normalization_trains_as_in_keras(words):
    network = network_of([word for word in words if "dropout" not in word])
    model = as_keras(network)
    for step in range(3):
        images = images_of((28, 28, 1), batch=5 + step, seed=step) * 3 - 1
        theirs = model(images, training=True).detach().numpy()
        ours = network(to_torch(images)).detach().numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())
    for row, layer in zip(network.summary.layers, model.layers, strict=True):
        if row.name.startswith("batchnorm"):
            norm = network.get_submodule(row.name)
            for name in ("moving_mean", "moving_variance"):
                expected = getattr(layer, name).value.detach()
                torch.testing.assert_close(getattr(norm, name), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", [11, 14])
@pytest.mark.parametrize(
    "word",
    [
        *["conv 3 3x3 padding=same", "conv 3 4x4 padding=same", "conv 3 3x3 padding=same stride=2"],
        *["conv 3 5x2 padding=same stride=3", "conv 3 3x3 stride=2", "maxpool 2 padding=same", "maxpool 3 stride=2"],
        *["maxpool 3 stride=2 padding=same", "maxpool 3 stride=1 padding=same", "maxpool 4 stride=3 padding=same"],
    ],
)
def test_padding_and_strides_are_those_of_keras(word, side):
    shape = (side, side + 2, 2)
    network = network_of([word, "flatten", "dense classes softmax"], shape).eval()
    images = images_of(shape, batch=3) - 2  # all below zero, where padding with zeros would win a maximum
    theirs = as_keras(network)(images, training=False).detach().numpy()
    np.testing.assert_allclose(network(to_torch(images)).detach().numpy(), theirs, rtol=1e-5, atol=1e-5)


def test_glorot_bounds_are_those_of_keras():
    network = build(parse(["conv 7 5x3", "flatten", "dense classes softmax"]), (9, 9, 3), 10, Streams(0))
    initializer = keras.initializers.GlorotUniform(seed=0)
    for kernel, shape in ((network.conv1.kernel, (5, 3, 3, 7)), (network.dense1.kernel, (5 * 7 * 7, 10))):
        theirs = initializer(shape).detach().abs().max()
        assert kernel.abs().max().item() == pytest.approx(theirs.item(), rel=0.05)


def test_the_penalty_is_that_of_keras():
    network = build(parse(["flatten", "dense 8 l2=0.01", "dense classes softmax"]), (4, 4, 1), 10, Streams(0))
    theirs = keras.regularizers.L2(0.01)(network.dense1.kernel)
    torch.testing.assert_close(network.penalty(), theirs)
