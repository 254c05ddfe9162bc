"""One temperature, found again where it is known, and never worse than none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from assay.prediction.calibrate import calibrate, calibration_error, cross_entropy
from assay.prediction.ensemble import sharpened, softmax


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    """Labels drawn from p; what is shown is p**temperature, so that 1 / temperature would be too sure or unsure."""
    rng = np.random.default_rng(1)
    true = softmax(rng.normal(0, 2, (20_000, 5)).astype(np.float32))
    labels = (true.cumsum(1) < rng.uniform(size=(20_000, 1))).sum(1).clip(max=4)
    found = calibrate(sharpened(true, 1 / temperature), labels)
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.loss[1] <= found.loss[0] + 1e-9
    assert found.error[1] < 0.02
    assert found.num_images == 20_000


def test_cross_entropy_is_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    shown = softmax(rng.normal(size=(500, 4)).astype(np.float32))
    labels = rng.integers(0, 4, 500)
    assert cross_entropy(shown, labels) == pytest.approx(log_loss(labels, shown, labels=range(4)), rel=1e-5)


def test_calibration_error_by_hand() -> None:
    shown = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]], np.float32)
    labels = np.array([0, 1, 0, 1])
    # Two bins: 0.9 of two, half of them right; 0.6 of two, both right.
    assert calibration_error(shown, labels) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="there are none"):
        calibrate(np.empty((0, 3), np.float32), np.empty(0, np.int64))
