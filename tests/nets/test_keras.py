"""What a layer means is what Keras means by it."""

import os

import numpy as np
import pytest
import torch

from assay.nets import parse, same_padding
from assay.nets.build import build
from assay.nets.modules import AvgPool
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


def keras_layer(row):
    """The row's layer as Keras has it. Dropout is left out: its masks are its own."""
    layer, kind = row.layer, row.name.rstrip("0123456789")
    activation = getattr(layer, "activation", "linear").replace("softmax", "linear").replace("leakyrelu", "leaky_relu")
    weighted = {"activation": activation, "use_bias": getattr(layer, "bias", True)}
    window = {"padding": getattr(layer, "padding", "valid"), "strides": getattr(layer, "stride", 1)}
    if kind in ("conv", "depthwise", "separable"):
        window["dilation_rate"] = layer.dilation
    kernels = keras.layers
    multiplied = {"depth_multiplier": getattr(layer, "multiplier", 1), **window, **weighted}
    return {
        "conv": lambda: kernels.Conv2D(layer.filters, layer.kernel, groups=layer.groups, **window, **weighted),
        "depthwise": lambda: kernels.DepthwiseConv2D(layer.kernel, **multiplied),
        "separable": lambda: kernels.SeparableConv2D(layer.filters, layer.kernel, **multiplied),
        "dense": lambda: kernels.Dense(row.output_shape[0], **weighted),
        "maxpool": lambda: kernels.MaxPooling2D(layer.size, **window),
        "avgpool": lambda: kernels.AveragePooling2D(layer.size, **window),
        "globalmaxpool": kernels.GlobalMaxPooling2D,
        "globalavgpool": kernels.GlobalAveragePooling2D,
        "batchnorm": lambda: kernels.BatchNormalization(epsilon=layer.epsilon, momentum=layer.momentum),
        "layernorm": kernels.LayerNormalization,
        "groupnorm": lambda: kernels.GroupNormalization(layer.groups),
        "instancenorm": lambda: kernels.GroupNormalization(-1),
        "dropout": lambda: kernels.Dropout(0.0),
        "spatialdropout": lambda: kernels.SpatialDropout2D(0.0),
        "flatten": kernels.Flatten,
        "zeropad": lambda: kernels.ZeroPadding2D(layer.padding),
        "reshape": lambda: kernels.Reshape(layer.target),
        "activation": lambda: kernels.Activation(activation),
        "prelu": lambda: prelu(row),
        "add": kernels.Add,
        "concatenate": kernels.Concatenate,
    }[kind]()  # fmt: skip


def prelu(row):
    """With the axes that Keras's users share, and the slopes that the word begins with."""
    image = {"value": None, "channel": [1, 2], "layer": [1, 2, 3]}
    vector = {"value": None, "channel": None, "layer": [1]}
    shared = (image if len(row.input_shape) == 3 else vector)[row.layer.per]
    start = keras.initializers.Constant(row.layer.slope)
    return keras.layers.PReLU(alpha_initializer=start if row.layer.slope else "zeros", shared_axes=shared)


def as_keras(network):
    """The same layers made of Keras's, with the same weights; each named as ours."""
    summary = network.summary
    values = {"": keras.layers.Input(summary.input_shape)}
    layers = {}
    for row in summary.layers:
        layers[row.name] = made = keras_layer(row)
        inputs = [values[name] for name in row.inputs]
        values[row.name] = made(inputs if len(inputs) > 1 else inputs[0])
        if row.name.startswith("add"):
            values[row.name] = keras.layers.Activation(row.layer.activation)(values[row.name])
    model = keras.Model(values[""], values[summary.layers[-1].name])
    model.ours = layers
    for row in summary.layers:
        for name, value in network.get_submodule(row.name).state_dict().items():
            variable = getattr(layers[row.name], name)
            variable.assign(to_keras(row, name, value).detach().numpy())
    return model


def to_keras(row, name, value):
    """A parameter, or its gradient, in the shape and order of Keras's."""
    if value.dim() == 2:
        return value.T
    if value.dim() == 3:
        return value.permute(1, 2, 0)
    if value.dim() != 4:
        return value
    if row.name.startswith("depthwise") or name == "depthwise_kernel":
        channels, multiplier = row.input_shape[-1], row.layer.multiplier
        return value.reshape(channels, multiplier, *value.shape[2:]).permute(2, 3, 0, 1)
    return value.permute(2, 3, 1, 0)


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
    for name, layer in model.ours.items():
        if name.startswith("batchnorm"):
            norm = network.get_submodule(name)
            for name in ("moving_mean", "moving_variance"):
                expected = getattr(layer, name).value.detach()
                torch.testing.assert_close(getattr(norm, name), expected, rtol=1e-5, atol=1e-6)


RESIDUAL = {
    "residual": ["conv 6 3x3 padding=same stride=2 bias=false", "batchnorm", "elu", "depthwise 3x3 padding=same"],
    "shortcut": ["avgpool 2 padding=same", "conv 6 1x1"],
    "activation": "relu",
}
INCEPTION = {
    "parallel": [
        ["conv 3 1x1"],
        ["conv 2 1x1 relu", "conv 4 3x3 padding=same"],
        ["maxpool 3 stride=1 padding=same"],
        [],
    ]
}
WORDS = [
    *[f"conv 3 3x3 {name}" for name in ("relu", "relu6", "leakyrelu", "elu", "gelu", "silu")],
    *[f"conv 3 3x3 {name}" for name in ("sigmoid", "tanh", "linear")],
    *["conv 3 3x3 padding=same", "conv 3 4x4 padding=same", "conv 3 3x3 padding=same stride=2"],
    *["conv 3 5x2 padding=same stride=3", "conv 3 3x3 stride=2", "conv 6 3x3 groups=2 bias=false"],
    *["conv 3 3x3 dilation=2", "conv 4 3x2 dilation=3 padding=same groups=4 relu"],
    *["depthwise 3x3 relu", "depthwise 3x2 multiplier=3 padding=same stride=2 bias=false", "depthwise 2x2 dilation=3"],
    *["separable 5 3x3 relu", "separable 5 2x3 tanh multiplier=2 padding=same stride=2 bias=false"],
    *["separable 3 3x3 dilation=2 padding=same"],
    *["maxpool 2 padding=same", "maxpool 3 stride=2", "maxpool 3 stride=2 padding=same"],
    *["maxpool 3 stride=1 padding=same", "maxpool 4 stride=3 padding=same"],
    *["avgpool 2", "avgpool 3 stride=2", "avgpool 3 stride=1 padding=same", "avgpool 5 stride=3"],
    *["batchnorm epsilon=1e-05 momentum=0.9"],
    *["batchnorm", "layernorm", "groupnorm 1", "groupnorm 2", "instancenorm", "dropout 0.3", "spatialdropout 0.3"],
    *["relu", "leakyrelu", "elu", "gelu", "silu", "sigmoid", "activation tanh"],
    *[RESIDUAL, INCEPTION, {"parallel": [["relu"], [], ["tanh"]], "join": "add"}],
    {"repeat": 2, "layers": [{"residual": ["conv 4 3x3 padding=same", INCEPTION, "conv 4 1x1"]}]},
    *["zeropad", "zeropad 2x0", "zeropad 0+1x3+2", "reshape 13x20x2", "reshape 26x-1x4", "reshape 520", "reshape -1"],
    *["prelu", "prelu per=channel", "prelu per=layer slope=0.25"],
]
VECTOR_WORDS = [
    *["reshape 6", "prelu", "prelu per=channel", "prelu per=layer"],
    "batchnorm",
    "layernorm",
    "groupnorm 3",
    "gelu",
    "dropout 0.2",
    "dense 7 silu",
    "dense 7 bias=false",
]
TAILS = {"flatten": ["flatten"], "max": ["globalmaxpool"], "mean": ["globalavgpool"]}


def check_against_keras(layers, shape):
    """Logits, gradients, parameter counts and shapes."""
    network = network_of(layers, shape).eval()
    model = as_keras(network)
    images = images_of(shape, batch=3) - 0.7  # below zero in part: padding with zeros would win a maximum
    weights = torch.linspace(-1, 1, 30).reshape(3, 10)
    theirs, ours = model(images, training=False), network(to_torch(images))
    scale = theirs.abs().max().item()
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-5 * max(scale, 1))
    for logits in (theirs, ours):
        (logits * weights).sum().backward()
    for row in network.summary.layers:
        layer = model.ours[row.name]
        assert layer.count_params() == row.parameters, row.name
        assert tuple(layer.output.shape[1:]) == row.output_shape, row.name
        for name, parameter in network.get_submodule(row.name).named_parameters():
            gradient = getattr(layer, name).value.grad
            atol = 1e-5 * max(gradient.abs().max().item(), 1)
            torch.testing.assert_close(to_keras(row, name, parameter.grad), gradient, rtol=1e-4, atol=atol, msg=name)
    assert model.count_params() == network.summary.parameters
    assert sum(int(np.prod(values.shape)) for values in model.trainable_weights) == network.summary.trainable


@pytest.mark.parametrize("word", WORDS, ids=str)
def test_every_word_is_what_keras_means_by_it(word):
    check_against_keras(["conv 4 2x2", word, "flatten", "dense classes softmax"], (11, 14, 2))


@pytest.mark.parametrize("side", [8])
@pytest.mark.parametrize("word", [word for word in WORDS if "padding=same" in word or "stride" in word], ids=str)
def test_padding_and_strides_are_those_of_keras(word, side):
    check_against_keras([word, "flatten", "dense classes softmax"], (side, side + 2, 4))


@pytest.mark.parametrize("word", VECTOR_WORDS)
def test_words_mean_the_same_for_vectors(word):
    check_against_keras(["flatten", "dense 6", word, "dense classes softmax"], (5, 4, 2))


@pytest.mark.parametrize("tail", TAILS)
def test_an_image_becomes_a_vector_as_in_keras(tail):
    check_against_keras(["conv 7 3x3 relu", *TAILS[tail], "dense classes", "softmax"], (6, 5, 3))


def test_a_vector_becomes_an_image_as_in_keras():
    lines = ["flatten", "dense 24", "reshape 2x-1x4", "conv 3 2x2 relu", "reshape 1x1x-1", "conv 5 1x1", "reshape -1"]
    check_against_keras([*lines, "dense classes softmax"], (5, 4, 2))


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", [5, 6])
def test_an_average_leaves_out_padding_on_either_side(size, stride, side):
    """By definition, and not against Keras on torch, which fills one-sided padding with the edge's values."""
    (layer,) = parse([f"avgpool {size} stride={stride} padding=same"])
    images = torch.arange(2.0 * side * (side + 1)).reshape(1, 2, side, side + 1)
    means = []
    before = [same_padding(length, size, stride)[0] for length in images.shape[2:]]
    for row in range(-(-side // stride)):
        for column in range(-(-(side + 1) // stride)):
            top, left = row * stride - before[0], column * stride - before[1]
            window = images[0, :, max(top, 0) : top + size, max(left, 0) : left + size]
            means.append(window.flatten(1).mean(1))
    expected = torch.stack(means, 1).reshape(1, 2, -(-side // stride), -1)
    torch.testing.assert_close(AvgPool(layer)(images), expected)


@pytest.mark.parametrize(
    "word", ["conv 8 5x3", "conv 8 3x3 groups=4", "depthwise 5x5 multiplier=4", "separable 16 5x5 multiplier=2"]
)
def test_initial_kernels_have_the_bounds_of_keras(word):
    network = build(parse([word, "flatten", "dense classes softmax"]), (9, 9, 8), 10, Streams(0))
    for row in (network.summary.layers[0], network.summary.layers[-1]):
        layer = keras_layer(row)
        layer.build((None, *row.input_shape))
        for name, kernel in network.get_submodule(row.name).named_parameters():
            if name.endswith("kernel"):
                theirs = getattr(layer, name)
                assert theirs.shape == to_keras(row, name, kernel).shape
                # The largest of n draws below a bound lies within 10 % of it but for a chance of 0.9**n, n >= 144.
                assert kernel.abs().max().item() == pytest.approx(theirs.value.abs().max().item(), rel=0.1)
                assert abs(kernel.mean()) < kernel.abs().max() / 4


@pytest.mark.parametrize("word", ["prelu", "prelu slope=0.25", "prelu per=channel slope=0.1", "prelu per=layer"])
@pytest.mark.parametrize("before", [[], ["flatten"]], ids=["image", "vector"])
def test_slopes_begin_as_in_keras(word, before):
    after = [] if before else ["flatten"]
    network = build(parse([*before, word, *after, "dense classes softmax"]), (5, 6, 3), 10, Streams(0))
    row = network.summary.layers[len(before)]
    layer = keras_layer(row)
    layer.build((None, *row.input_shape))
    torch.testing.assert_close(to_keras(row, "alpha", network.get_submodule(row.name).alpha), layer.alpha.value)


@pytest.mark.parametrize("word", ["conv 4 3x3", "depthwise 3x3", "separable 4 3x3"])
def test_penalties_are_those_of_keras(word):
    layers = [f"{word} l1=0.03 l2=0.01", "flatten", "dense classes softmax l1=0.2"]
    network = network_of(layers, (7, 6, 3))
    first, _, last = network.summary.layers
    theirs = sum(
        keras.regularizers.L1L2(row.layer.l1, row.layer.l2)(values)
        for row in (first, last)
        for name, values in network.get_submodule(row.name).named_parameters()
        if name.endswith("kernel")
    )
    torch.testing.assert_close(network.penalty(), theirs)
