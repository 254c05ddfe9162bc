"""A finished run as a base: looked up in the store, trained on, revealed, and refused where it does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.api import remarks
from assay.errors import DataError, SpecError
from assay.models import load_models
from assay.runner import check_networks
from assay.spec import Study

from ..helpers import small_study

LAYERS = [
    "conv 4 3x3 relu",
    "layernorm",
    "conv 6 3x3 relu",
    "maxpool 2",
    "flatten",
    "layernorm",
    "dense classes softmax",
]
HEAD = ["flatten", "layernorm", "dense classes softmax"]


def study_on(base: dict[str, Any], name: str = "on-a-run", **changes: Any) -> Study:
    return small_study(
        name=name, network={"layers": HEAD, "base": base}, factors={}, **{"seeds": {"count": 1}, **changes}
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a study of one run."""
    folder = tmp_path_factory.mktemp("bases") / "store"
    data = {"name": "digits", "validation": 0.2, "scaling": "standard"}
    assay.run(
        small_study(name="first", data=data, network={"layers": LAYERS}, factors={}, seeds={"count": 1}), store=folder
    )
    return folder


def test_a_run_is_a_base_for_others(store: Path) -> None:
    (first,) = assay.result("first", store=store).runs
    result = assay.run(study_on({"weights": f"run:{first.id[:8]}", "train": "last 1 block"}), store=store)
    (run,) = result.runs
    assert run.state == "finished"
    assert run.environment["path"] == "plain"
    (theirs,) = load_models(assay.result("first", store=store).record, [first], store)
    (ours,) = load_models(result.record, [run], store)
    old, new = theirs.network.state_dict(), ours.network.state_dict()
    assert np.array_equal(new["base_conv1.kernel"], old["conv1.kernel"])  # frozen
    assert not np.array_equal(new["base_conv2.kernel"], old["conv2.kernel"])
    images = theirs.dataset.training().images[:5]
    scaled = [model.predictor.scaling.apply(images, np.arange(5)).numpy() for model in (theirs, ours)]
    np.testing.assert_allclose(scaled[1], scaled[0], atol=1e-5)
    assert result.reveal()["test_accuracy"].notna().all()
    again = assay.run(study_on({"weights": "run:first", "train": "last 1 block"}, name="same"), store=store)
    assert [other.id for other in again.runs] == [run.id]  # by the study's name, the same weights: the same run


def test_a_frozen_run_of_ours_is_cached_and_retrained(store: Path) -> None:
    result = assay.run(study_on({"weights": "run:first"}, name="frozen"), store=store)
    assert {run.state for run in result.runs} == {"finished"}
    assert result.reveal(retrain="frozen")["test_accuracy"].notna().all()
    assert result.report().stat().st_size > 10_000


@pytest.mark.parametrize(
    ("base", "data", "told"),
    [
        ({"weights": "run:0123456789"}, {}, 'there is no run whose id begins with "0123456789"'),
        ({"weights": "run:ab"}, {}, '"ab" is too short for the start of an id'),
        ({"weights": "run:first", "until": "block3"}, {}, "its blocks are block1, block2"),
        ({"weights": "run:first"}, {"name": "mnist"}, "saw images of 8 x 8, and these are 28 x 28; give size = 8"),
        ({"weights": "run:first"}, {"name": "cifar10"}, "images are of 3 channels, and run"),
    ],
)
def test_a_run_that_does_not_fit_is_told_in_one_sentence(
    base: dict[str, Any], data: dict[str, Any], told: str, store: Path
) -> None:
    study = study_on(base, data={"name": "digits", "validation": 0.2, **data})
    with pytest.raises(SpecError) as caught:
        check_networks(study, store=store)
    assert told in str(caught.value)
    assert str(caught.value).startswith("network.base")


def test_weights_of_another_content_are_refused(tmp_path: Path, store: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"block1_conv1": (3, 64), "block1_conv2": (64, 64)}
    arrays = {f"{key}_kernel": rng.random((3, 3, *shape)) for key, shape in shapes.items()}
    np.savez(tmp_path / "w.npz", **arrays, **{f"{key}_bias": np.zeros(64) for key in shapes})
    base = {"name": "vgg16", "weights": str(tmp_path / "w.npz"), "until": "block1", "content": "0" * 64}
    with pytest.raises(DataError, match="the weights' SHA-256 should be 0000"):
        assay.run(study_on(base), store=store)


def test_what_a_frozen_base_costs_is_told_before_it_runs() -> None:
    base = {"name": "squeezenet", "weights": "random", "size": 32}
    (told,) = remarks(study_on(base))
    assert told == "What frozen bases put out is kept in the cache: about 0.0029 GB."  # 1,438 x 512 x 4 bytes
    augmented = {"epochs": 1, "augmentation": {"shift": 1}}
    (told,) = remarks(study_on(base, training=augmented))
    assert told.startswith('The frozen base of arm "on-a-run" runs in every step, since its images are augmented anew')
    (told,) = remarks(study_on({**base, "copies": 4}, training=augmented))
    assert told == "What frozen bases put out is kept in the cache: about 0.015 GB."
    assert remarks(study_on({**base, "train": "all"})) == ()
