"""Built networks: their initial weights, names, gradients and randomness."""

import math

import pytest
import torch

from assay.errors import SpecError
from assay.nets import parse
from assay.nets.build import build
from assay.nets.dropout import dropout
from assay.nets.norms import BatchNorm
from assay.seeds import Streams

PLAIN = ["conv 8 3x3 relu", "maxpool 2", "conv 16 3x3 relu", "flatten", "dense 32 relu", "dense classes softmax"]
DECORATED = [
    *["conv 8 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.5", "conv 16 3x3 relu", "batchnorm", "flatten"],
    *["dense 32 relu", "dropout 0.25", "dense classes softmax"],
]


def network_of(words, seed=0, input_shape=(12, 12, 1), num_classes=5):
    return build(parse(words), input_shape, num_classes, Streams(seed))


def images_of(network, batch=8, seed=0):
    height, width, channels = network.summary.input_shape
    images = torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))
    return images.contiguous(memory_format=torch.channels_last)


def test_parameters_and_buffers_have_the_names_and_shapes_they_are_stored_under():
    network = network_of(DECORATED)
    assert {name: tuple(values.shape) for name, values in network.state_dict().items()} == {
        "conv1.kernel": (8, 1, 3, 3),
        "conv1.bias": (8,),
        "batchnorm1.gamma": (8,),
        "batchnorm1.beta": (8,),
        "batchnorm1.moving_mean": (8,),
        "batchnorm1.moving_variance": (8,),
        "conv2.kernel": (16, 8, 3, 3),
        "conv2.bias": (16,),
        "batchnorm2.gamma": (16,),
        "batchnorm2.beta": (16,),
        "batchnorm2.moving_mean": (16,),
        "batchnorm2.moving_variance": (16,),
        "dense1.kernel": (32, 3 * 3 * 16),
        "dense1.bias": (32,),
        "dense2.kernel": (5, 32),
        "dense2.bias": (5,),
    }
    assert network.conv2.kernel.is_contiguous(memory_format=torch.channels_last)
    count = sum(values.numel() for values in network.parameters() if values.requires_grad)
    assert count == network.summary.trainable
    assert sum(values.numel() for values in network.state_dict().values()) == network.summary.parameters


def test_a_network_that_cannot_be_is_not_built():
    with pytest.raises(SpecError):
        network_of(["flatten", "dense 3 softmax"])


def test_dropout_and_batch_normalization_move_no_initial_weights():
    plain, decorated = network_of(PLAIN), network_of(DECORATED)
    for name, values in plain.state_dict().items():
        assert torch.equal(values, decorated.state_dict()[name]), name


def test_initial_weights_follow_the_seed_and_differ_between_layers():
    words = ["flatten", "dense 20", "dense 20", "dense 20", "dense classes softmax"]
    first, again, other = network_of(words), network_of(words), network_of(words, seed=1)
    assert torch.equal(first.dense2.kernel, again.dense2.kernel)
    assert not torch.equal(first.dense2.kernel, other.dense2.kernel)
    assert not torch.equal(first.dense2.kernel, first.dense3.kernel)
    fixed = build(parse(words), (12, 12, 1), 5, Streams(0, frozenset()))
    fixed_too = build(parse(words), (12, 12, 1), 5, Streams(1, frozenset()))
    assert torch.equal(fixed.dense2.kernel, fixed_too.dense2.kernel)


@pytest.mark.parametrize(
    ("name", "fan_in", "fan_out"), [("conv1", 9, 9 * 64), ("conv2", 25 * 64, 25 * 48), ("dense1", 64 * 48, 100)]
)
def test_initial_kernels_are_glorot_uniform(name, fan_in, fan_out):
    words = ["conv 64 3x3", "conv 48 5x5 stride=1", "maxpool 2", "flatten", "dense 100", "dense classes softmax"]
    network = network_of(words, input_shape=(22, 22, 1))
    kernel = network.get_submodule(name).kernel.detach()
    limit = math.sqrt(6 / (fan_in + fan_out))
    count = kernel.numel()
    assert 0.9 * limit < kernel.abs().max() <= limit * (1 + 1e-6)
    # A uniform variable's mean has standard error limit / sqrt(3 n), its square's limit**2 * sqrt(4 / (45 n)).
    assert abs(kernel.mean()) < 4 * limit / math.sqrt(3 * count)
    assert abs(kernel.square().mean() - limit**2 / 3) < 4 * limit**2 * math.sqrt(4 / (45 * count))
    assert not network.get_submodule(name).bias.any()


def test_the_penalty_is_the_sum_of_squared_kernels():
    network = network_of(["conv 4 3x3 relu l2=0.01", "flatten", "dense 8 l2=0.5", "dense classes softmax"])
    expected = 0.01 * network.conv1.kernel.square().sum() + 0.5 * network.dense1.kernel.square().sum()
    torch.testing.assert_close(network.penalty(), expected)
    network.penalty().backward()
    torch.testing.assert_close(network.conv1.kernel.grad, 0.02 * network.conv1.kernel.detach())
    assert network_of(PLAIN).penalty() is None


def test_dropout_follows_seed_and_step_and_nothing_else():
    def logits(seed=0, step=0):
        network = network_of(DECORATED)
        for module in network.children():
            if hasattr(module, "streams"):
                module.streams = Streams(seed)
        network.set_step(step)
        return network(images_of(network)).detach()

    assert torch.equal(logits(), logits())
    assert not torch.equal(logits(), logits(step=1))
    assert not torch.equal(logits(), logits(seed=1))
    # The second layer's mask stays when the first layer no longer drops.
    without_first = [word.replace("dropout 0.5", "dropout 0") for word in DECORATED]
    network = network_of(without_first)
    assert [module.ordinal for module in network.children() if hasattr(module, "ordinal")] == [0, 1]


def test_evaluation_drops_nothing_and_moves_no_statistics():
    network = network_of(DECORATED).eval()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    images = images_of(network)
    first = network(images)
    network.set_step(1)
    assert torch.equal(network(images), first)
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


def test_memory_layout_does_not_change_the_logits():
    network = network_of(DECORATED, input_shape=(12, 12, 3))
    images = images_of(network)
    torch.testing.assert_close(network(images.contiguous()), network(images))


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_batch_normalization_allows_a_last_batch_of_one(shape):
    norm = BatchNorm(parse(["batchnorm"])[0], 3)
    torch.testing.assert_close(norm(torch.full(shape, 7.0)), torch.zeros(shape), rtol=0, atol=1e-5)
    torch.testing.assert_close(norm.moving_mean, torch.full((3,), 0.07))
    torch.testing.assert_close(norm.moving_variance, torch.full((3,), 0.99))


def test_gradients_of_a_whole_network_against_finite_differences():
    words = [
        *["conv 3 3x3 padding=same stride=2", "batchnorm", "maxpool 2 padding=same", "dropout 0.3", "flatten"],
        *["dense 4 relu l2=0.1", "batchnorm", "dense classes softmax"],
    ]
    network = network_of(words, input_shape=(6, 5, 2), num_classes=3).double()
    images = torch.randn(4, 2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    names = [name for name, _ in network.named_parameters()]

    def loss(images, *values):
        logits = torch.func.functional_call(network, dict(zip(names, values, strict=True)), (images,))
        return torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 1]))

    inputs = (images.requires_grad_(), *(values.detach().requires_grad_() for values in network.parameters()))
    assert torch.autograd.gradcheck(loss, inputs)


def test_each_dropout_layer_has_its_own_mask_at_each_step():
    network = network_of(["flatten", "dropout 0.5", "dropout 0.25", "dense classes softmax"], seed=5)
    network.set_step(3)
    values = torch.randn(4, 50)
    for ordinal, (name, rate) in enumerate([("dropout1", 0.5), ("dropout2", 0.25)]):
        expected = dropout(values, Streams(5).key("dropout", ordinal, 3), rate)
        assert torch.equal(network.get_submodule(name)(values), expected)
