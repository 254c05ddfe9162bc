"""How kernels begin: as the identity, as zeros, or whitening the images' patches; and kernels that never train."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from assay.errors import SpecError
from assay.nets import parse, summarize
from assay.nets.build import build
from assay.nets.whitening import is_whitening, whiten
from assay.seeds import Streams


def network_of(words, shape=(12, 11, 3), num_classes=5):
    return build(parse([*words, "flatten", "dense classes softmax"]), shape, num_classes, Streams(0))


def images_of(count=40, shape=(12, 11, 3)):
    """Smooth images, whose pixels are correlated, far from mean 0 and of unlike variances."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(count, shape[2], shape[0] + 2, shape[1] + 2))
    smooth = noise[:, :, 1:-1, 1:-1] + noise[:, :, :-2, 1:-1] + noise[:, :, 1:-1, 2:] + 0.5 * noise[:, ::-1, 2:, 2:]
    scale = np.array([1.0, 2.0, 5.0, 3.0])[: shape[2], None, None]
    return torch.from_numpy((smooth * scale + 3 * scale).astype(np.float32))


@pytest.mark.parametrize(
    ("word", "shape", "identical"),
    [
        ("conv 5 3x3 padding=same init=identity", (12, 11, 3), 3),
        ("conv 2 3x3 padding=same init=identity", (12, 11, 3), 2),
        ("conv 5 4x2 padding=same init=identity", (12, 11, 3), 3),
        ("conv 3 1x1 init=identity", (12, 11, 3), 3),
    ],
)
def test_the_first_filters_of_an_identity_hand_their_channels_on(word, shape, identical):
    images = images_of(shape=shape)
    network = network_of([word], shape)
    torch.testing.assert_close(network.conv1(images)[:, :identical], images[:, :identical])
    plain = network_of([word.replace(" init=identity", "")], shape)
    assert torch.equal(network.conv1.kernel[identical:], plain.conv1.kernel[identical:])
    assert torch.equal(network.dense1.kernel, plain.dense1.kernel)


def test_each_group_of_an_identity_hands_its_own_channels_on():
    images = images_of(shape=(12, 11, 4))
    outputs = network_of(["conv 6 3x3 padding=same groups=2 init=identity"], (12, 11, 4)).conv1(images)
    torch.testing.assert_close(outputs[:, [0, 1, 3, 4]], images)


def test_zeros_are_zeros():
    network = network_of(["conv 4 3x3 init=zeros", "flatten", "dense 6 init=zeros bias=false"])
    assert not network.conv1.kernel.any()
    assert not network.dense1.kernel.any()
    assert network.dense2.kernel.any()


@pytest.mark.parametrize(
    "word",
    ["conv 12 2x2 init=whitening", "conv 24 2x2 init=whitening fixed=true", "conv 27 3x3 stride=2 init=whitening",
     "conv 12 2x2 dilation=3 init=whitening"],
)  # fmt: skip
def test_whitened_outputs_have_mean_0_variance_1_and_no_correlation(word):
    images, network = images_of(), network_of([word])
    whiten(network, lambda start, stop: images[start:stop], len(images))
    outputs = network.conv1(images).detach().double().transpose(0, 1).flatten(1)
    num_components = 3 * int(np.prod(network.conv1.layer.kernel))
    covariance = torch.cov(outputs[:num_components], correction=0)
    torch.testing.assert_close(outputs.mean(1), torch.zeros(len(outputs), dtype=torch.float64), atol=1e-5, rtol=0)
    # The smallest variance is 0.2 % of the mean's here or more, to which 0.05 % of it are added.
    torch.testing.assert_close(covariance, torch.eye(num_components, dtype=torch.float64), atol=0.3, rtol=0)
    off_diagonal = covariance - covariance.diag().diag()
    assert off_diagonal.abs().max() < 1e-4
    torch.testing.assert_close(outputs[num_components:], -outputs[: len(outputs) - num_components])


def test_components_stand_by_falling_variance_of_the_patches():
    images, network = images_of(), network_of(["conv 12 2x2 init=whitening bias=false"])
    whiten(network, lambda start, stop: images[start:stop], len(images))
    rows = network.conv1.kernel.detach().flatten(1).double()
    directions = rows / rows.norm(dim=1, keepdim=True)
    patches = F.unfold(images.double(), 2).transpose(0, 1).flatten(1)
    spread = torch.cov(directions @ patches, correction=0).diag()
    assert (spread[1:] <= spread[:-1]).all()
    largest = torch.linalg.eigvalsh(torch.cov(patches, correction=0))[-1]
    torch.testing.assert_close(spread[0], largest, rtol=1e-5, atol=0)


def test_whitening_has_the_same_bits_however_many_threads_there_are():
    images, kernels, before = images_of(200), [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            network = network_of(["conv 24 2x2 init=whitening"])
            whiten(network, lambda start, stop: images[start:stop], len(images))
            kernels.append(network.conv1.kernel.detach().clone())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*kernels)


def test_images_without_variance_whiten_to_numbers():
    network = network_of(["conv 6 2x2 init=whitening"])
    whiten(network, lambda start, stop: torch.ones(stop - start, 3, 12, 11), 5)
    assert torch.isfinite(network.conv1.kernel).all()
    assert torch.isfinite(network.conv1.bias).all()


def test_only_networks_that_say_so_are_whitened():
    assert is_whitening(network_of(["conv 6 2x2 init=whitening"]))
    assert not is_whitening(network_of(["conv 6 2x2 init=identity", "batchnorm"]))


def test_a_fixed_kernel_is_counted_as_one_that_does_not_train():
    network = network_of(["conv 6 2x2 fixed=true"])
    row = network.summary.layers[0]
    assert (row.trainable, row.non_trainable) == (6, 6 * 2 * 2 * 3)
    assert not network.conv1.kernel.requires_grad
    assert network.conv1.bias.requires_grad
    assert "conv1.kernel" in network.state()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["conv 4 3x3", "conv 4 3x3 init=whitening"], "reads other values than the images; make it the first layer"),
        (["conv 25 2x2 init=whitening"], "gives at most 24 filters here; give 24 filters: each of 12 components twice"),
        (["conv 6 2x2 groups=3 init=whitening"], "works on all channels at once; leave groups out"),
        (["conv 4 13x2 padding=same init=whitening"], "patches of 13 x 2 do not fit into 12 x 11 x 3"),
        (["conv 4 2x2 fixed=true l2=0.1"], "has a penalty (l2) on a kernel that is fixed; leave one of them out"),
        (["conv 4 2x2 init=he"], '"he" is no init'),
        (["conv 4 2x2 fixed=yes"], '"yes" is no fixed'),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence(words, message):
    with pytest.raises(SpecError) as caught:
        summarize(parse([*words, "flatten", "dense classes softmax"]), (12, 11, 3), 5)
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)


def test_a_network_must_train_something():
    words = ["conv 5 3x3 fixed=true bias=false", "globalavgpool", "softmax"]
    with pytest.raises(SpecError, match="nothing in the network trains; leave fixed=true out of a layer"):
        summarize(parse(words), (8, 8, 1), 5)
