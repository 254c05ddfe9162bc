"""Kernels, activations, and what filters like: against what was planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assay.errors import SpecError
from assay.explain.activations import activation_maps, outputs_of, penultimate_features, strongest_images
from assay.explain.kernels import kernels_of
from assay.explain.maximize import maximize_filters

from .planted import detector, network_of, scene


def test_kernels_are_the_layers_own_and_a_copy() -> None:
    network = network_of(
        ["conv 4 3x3 relu", "conv 6 3x3 groups=2", "separable 6 2x2", "flatten", "dense classes softmax"]
    )
    assert kernels_of(network).shape == (4, 1, 3, 3)
    assert kernels_of(network, "conv2").shape == (6, 2, 3, 3)
    found = kernels_of(network, "separable1")
    assert found.shape[1:] == (1, 2, 2)
    before = network.conv1.kernel.detach().clone()
    kernels_of(network)[:] = 7
    torch.testing.assert_close(network.conv1.kernel, torch.nn.Parameter(before))
    with pytest.raises(SpecError, match='layer "dense1" has no kernels to draw; name one of conv1, conv2, separable1'):
        kernels_of(network, "dense1")


def test_activations_are_what_the_layers_put_out() -> None:
    network = network_of(["conv 4 3x3 relu", "maxpool 2", "flatten", "dense 5 relu", "dense classes softmax"])
    image = torch.rand(1, 12, 12, generator=torch.Generator().manual_seed(2))
    maps = activation_maps(network, image)
    assert {name: values.shape for name, values in maps.items()} == {"conv1": (4, 10, 10), "maxpool1": (4, 5, 5)}
    with torch.no_grad():
        by_hand = torch.relu(torch.nn.functional.conv2d(image[None], network.conv1.kernel, network.conv1.bias))[0]
    np.testing.assert_allclose(maps["conv1"], by_hand.numpy(), atol=1e-6)
    batches = torch.rand(7, 1, 12, 12).split(3)
    features = penultimate_features(network, batches)
    assert features.shape == (7, 5)
    np.testing.assert_array_equal(features[3:6], outputs_of(network, batches[1], ["dense1"])["dense1"].numpy())


def test_the_strongest_images_are_those_with_the_shape_and_the_frame_is_around_it() -> None:
    places = [(2, 3), (7, 8), (9, 4)]
    batches = [scene(None, ring=(5, 5)), *(scene(at) for at in places), scene(None)]
    found = strongest_images(detector(), batches, "conv1", count=3)
    assert sorted(found.images[0].tolist()) == [1, 2, 3]
    np.testing.assert_allclose(found.values[0], 1.0)
    for image, box in zip(found.images[0], found.boxes[0], strict=True):
        row, column = places[image - 1]
        assert box.tolist() == [row - 1, column - 1, row + 2, column + 2]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_linear_filter_likes_its_own_sign_best(activation: str) -> None:
    """Of all pictures in a box, a linear function is largest at the corner that its weights' signs name."""
    network = network_of([f"conv 3 3x3 {activation}", "flatten", "dense classes softmax"])
    with torch.no_grad():
        network.conv1.bias.fill_(-50.0)  # silent everywhere: its direction is found all the same
    found = maximize_filters(network, torch.zeros(1), torch.ones(1), smoothness=0.0)
    assert found.shape == (3, 3, 3, 1)
    corner = (network.conv1.kernel.detach().numpy()[:, 0] > 0).astype(np.float32)
    np.testing.assert_allclose(found[..., 0], corner, atol=0.1)
    assert network.conv1.layer.activation == activation
    assert all(parameter.requires_grad for parameter in network.parameters())
