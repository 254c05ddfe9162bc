"""Maps and boxes of what a resizing base sees lie where they belong on the stored image."""

from __future__ import annotations

import numpy as np
import pytest

from assay.explain.places import boxes_on, maps_on


@pytest.mark.parametrize("size", [(28, 28), (12, 30), (96, 60)])
def test_a_map_keeps_its_places_and_its_mean(size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[0:48, 0:60]
    spot = np.exp(-((rows - 12) ** 2 + (columns - 45) ** 2) / 40).astype(np.float32)
    (found,) = maps_on(spot[None], size)
    assert found.shape == size
    peak = np.unravel_index(found.argmax(), size)
    np.testing.assert_allclose((np.array(peak) + 0.5) / size, (12.5 / 48, 45.5 / 60), atol=0.6 / min(size))
    assert found.mean() == pytest.approx(spot.mean(), rel=0.02)
    np.testing.assert_array_equal(maps_on(spot[None], (48, 60)), spot[None])


def test_a_box_takes_in_every_pixel_that_it_touches() -> None:
    boxes = np.array([[0, 0, 48, 48], [12, 24, 24, 48], [5, 7, 6, 9]])
    expected = [[0, 0, 28, 14], [7, 7, 14, 14], [2, 2, 4, 3]]
    np.testing.assert_array_equal(boxes_on(boxes, (48, 48), (28, 14)), expected)
    np.testing.assert_array_equal(boxes_on(boxes, (48, 48), (48, 48)), boxes)


@pytest.mark.parametrize("seen", [100, 200])
def test_a_box_of_all_that_is_seen_is_all_of_the_image(seen: int) -> None:
    whole = np.array([[0, 0, seen, seen]])
    np.testing.assert_array_equal(boxes_on(whole, (seen, seen), (28, 28)), [[0, 0, 28, 28]])
