"""What a study's record says of its scores."""

from __future__ import annotations

import pytest

from assay.analysis import contrasts
from assay.analysis.scores import varied

from ..recorded import with_spec

ARMS = {"a": [0.9 + 0.001 * seed for seed in range(6)], "b": [0.91 + 0.0011 * seed for seed in range(6)]}


@pytest.mark.parametrize(
    ("data", "is_varied"),
    [
        ({"validation": 0.2}, True),
        ({"validation": 5000}, True),
        ({"validation": "5-fold"}, True),
        ({"validation": "last 20%"}, False),
        ({"validation": "last 2400"}, False),
        ({"validation": {"last": 0.2}, "stratified": False}, False),
        ({"validation": "test", "as_published": True}, False),
        # Which images of each class are learned from is drawn, whatever validates them.
        ({"validation": "last 20%", "training": "20 per class"}, True),
    ],
)
def test_a_split_varies_where_a_seed_draws_it(make_study, data, is_varied):
    study = with_spec(make_study(ARMS), data={"name": "mnist", **data}, seeds={"vary": ["split", "init", "order"]})
    assert varied(study) == (("split", "init", "order") if is_varied else ("init", "order"))
    assert ("; over split, init" in contrasts(study)[0].details) == is_varied
    still = with_spec(study, seeds={"vary": ["init", "order"]})
    assert varied(still) == ("init", "order")
