"""Grad-CAM against what was planted, and against captum's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from assay.errors import SpecError
from assay.explain.gradcam import grad_cam

from .planted import detector, network_of, scene


@pytest.mark.parametrize("at", [(3, 4), (8, 2), (9, 9)])
def test_it_points_at_the_planted_shape(at: tuple[int, int]) -> None:
    other = (10, 10) if at != (9, 9) else (2, 2)
    heat = grad_cam(detector(), scene(at, ring=other), torch.tensor([0]))[0]
    assert np.unravel_index(heat.argmax(), heat.shape) == at
    assert heat.max() == 1
    assert heat[other] == 0


def test_the_class_that_is_asked_for_counts() -> None:
    network, image = detector(), scene((3, 3), ring=(8, 8))
    both = grad_cam(network, image.repeat(2, 1, 1, 1), torch.tensor([0, 1]))
    assert [np.unravel_index(heat.argmax(), heat.shape) for heat in both] == [(3, 3), (8, 8)]
    predicted = network(image).argmax(1)
    np.testing.assert_array_equal(grad_cam(network, image), grad_cam(network, image, predicted))


def test_where_nothing_speaks_for_the_class_the_map_is_zero() -> None:
    heat = grad_cam(detector(), scene(None), torch.tensor([0]))
    assert heat.dtype == np.float32
    np.testing.assert_array_equal(heat, np.zeros((1, 12, 12), np.float32))


@pytest.mark.parametrize(
    ("layers", "layer"),
    [
        (["conv 4 3x3 relu", "maxpool 2", "conv 6 3x3", "batchnorm", "relu", "flatten", "dense classes softmax"], None),
        (["conv 4 3x3 relu", "maxpool 2", "conv 6 3x3 relu", "flatten", "dense classes softmax"], "conv1"),
        (["separable 5 3x3 gelu", "globalavgpool", "dense 7 relu", "dense classes softmax"], None),
    ],
)
def test_it_is_captums(layers: list[str], layer: str | None) -> None:
    from captum.attr import LayerGradCam

    network = network_of(layers)
    images = torch.rand(5, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    classes = torch.tensor([0, 1, 2, 1, 0])
    module = network.get_submodule(layer or ("activation1" if "relu" in layers else "separable1"))
    theirs = LayerGradCam(network, module).attribute(images, classes, relu_attributions=True)
    theirs = interpolate(theirs, (12, 12), mode="bilinear", align_corners=False).detach().numpy()[:, 0]
    highest = theirs.max((1, 2), keepdims=True)
    theirs = theirs / np.where(highest > 0, highest, 1)
    assert theirs.max() == 1
    np.testing.assert_allclose(grad_cam(network, images, classes, layer), theirs, atol=1e-5)


def test_a_layer_without_maps_is_refused_with_those_that_have_some() -> None:
    network = network_of(["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"])
    with pytest.raises(SpecError, match='layer "dense1" has no feature maps; name one of conv1'):
        grad_cam(network, torch.zeros(1, 1, 12, 12), layer="dense1")
    with pytest.raises(SpecError, match='no layer "conv7"'):
        grad_cam(network, torch.zeros(1, 1, 12, 12), layer="conv7")
    flat = network_of(["flatten", "dense classes softmax"])
    with pytest.raises(SpecError, match="no layer of the network is a convolution"):
        grad_cam(flat, torch.zeros(1, 1, 12, 12))


def test_it_leaves_no_trace() -> None:
    network = detector()
    with torch.no_grad():
        grad_cam(network, scene((3, 3)))
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.conv1._forward_hooks
