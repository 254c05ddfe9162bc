"""Integrated gradients, occlusion and the sanity check: against their axioms and what was planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from assay.explain.attribution import integrated_gradients, occlusion, occlusion_window
from assay.explain.gradcam import grad_cam
from assay.explain.sanity import rank_correlation, sanity_check

from .planted import detector, network_of, scene

LAYERS = ["conv 4 3x3 gelu", "avgpool 2", "flatten", "dense 6 tanh", "dense classes softmax"]


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_integrated_gradients_are_complete(level: float) -> None:
    """Shares sum to the difference of the logits at the image and at the baseline."""
    network = network_of(LAYERS)
    images = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(3))
    classes = torch.tensor([0, 1, 2, 1])
    found = integrated_gradients(network, images, classes, baseline=torch.tensor([level]))
    assert found.shape == (4, 12, 12)
    with torch.no_grad():
        gained = network(images) - network(torch.full_like(images, level))
    np.testing.assert_allclose(found.sum((1, 2)), gained[range(4), classes].numpy(), atol=1e-4)


def test_of_a_linear_network_they_are_weights_times_pixels() -> None:
    network = network_of(["flatten", "dense classes softmax"])
    image = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(4))
    found = integrated_gradients(network, image, torch.tensor([2]))
    expected = network.dense1.kernel[2].detach().reshape(12, 12) * image[0, 0]
    np.testing.assert_allclose(found[0], expected.numpy(), atol=1e-5)


def test_occlusion_lights_up_where_the_planted_shape_is() -> None:
    network, image = detector(), scene((3, 8), ring=(9, 2))
    found = occlusion(network, image, torch.tensor([0]), window=3)[0]
    # A square that covers any pixel of the cross silences its filter, whose output is 1; all others change nothing.
    assert found[3, 8] == found.max() == pytest.approx(1.0)
    assert np.abs(found[7:]).max() == np.abs(found[:, :4]).max() == 0
    other = occlusion(network, image, torch.tensor([1]), window=3)[0]
    assert other[9, 2] == other.max() == pytest.approx(1.0)
    assert np.abs(other[:5]).max() == np.abs(other[:, 6:]).max() == 0


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_both_are_captums(level: float) -> None:
    """Captum's own implementation, on images of two channels and an odd square."""
    from captum.attr import IntegratedGradients, Occlusion

    network = network_of(LAYERS, (12, 12, 2))
    images = torch.rand(3, 2, 12, 12, generator=torch.Generator().manual_seed(6))
    classes, baseline = torch.tensor([0, 1, 2]), torch.tensor([level, level / 2])
    blank = baseline[:, None, None].expand_as(images)
    shares = IntegratedGradients(network).attribute(images, blank, target=classes, n_steps=50)
    found = integrated_gradients(network, images, classes, baseline=baseline)
    np.testing.assert_allclose(found, shares.sum(1).detach().numpy(), atol=1e-5)
    covered = Occlusion(network).attribute(images, (2, 5, 5), (2, 1, 1), blank, target=classes)
    found = occlusion(network, images, classes, window=5, baseline=baseline)
    np.testing.assert_allclose(found, covered[:, 0].detach().numpy(), atol=1e-5)


def test_the_predicted_class_is_explained_unless_another_is_named() -> None:
    network = network_of(LAYERS)
    images = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(5))
    predicted = network(images).argmax(1)
    for method in (integrated_gradients, occlusion):
        np.testing.assert_array_equal(method(network, images), method(network, images, predicted))


def test_the_window_grows_with_the_image() -> None:
    assert [occlusion_window((side, side + 4)) for side in (8, 28, 32, 96)] == [3, 5, 5, 17]


def test_maps_of_weights_change_when_these_are_randomised_and_maps_of_pixels_do_not() -> None:
    network = network_of(["conv 4 3x3 relu", "conv 4 3x3 relu", "flatten", "dense classes softmax"])
    images = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(6))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = sanity_check(network, images, grad_cam)
    assert found.layers == ("dense1", "conv2", "conv1")
    assert len(found.correlations) == 3
    assert found.is_sensitive
    pixels = sanity_check(network, images, lambda network, images, classes: images[:, 0].numpy())
    assert pixels.correlations == (1.0, 1.0, 1.0)
    assert not pixels.is_sensitive
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_rank_correlation_is_spearmans_where_maps_say_something() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, 6, 6)).astype(np.float32)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic)
    framed = [np.pad(values, 5) for values in (a, b)]
    assert rank_correlation(*framed) == pytest.approx(rank_correlation(a, b))
    assert rank_correlation(a, a**3) == pytest.approx(1.0)
    assert rank_correlation(a, np.zeros_like(a)) == 0.0
