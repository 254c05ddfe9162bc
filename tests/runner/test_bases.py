"""A finished run as a base: looked up in the store, trained on, revealed, and refused where it does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.api import remarks
from assay.data import prepare
from assay.errors import DataError, SpecError
from assay.results.model import load_models
from assay.runner import check_networks
from assay.spec import Study
from assay.store import open_writer

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
    assert told == "The outputs of frozen bases are cached on disk: about 0.0029 GB."  # 1,438 x 512 x 4 bytes
    augmented = {"epochs": 1, "augmentation": {"shift": 1}}
    (told,) = remarks(study_on(base, training=augmented))
    assert told.startswith('The frozen base of arm "on-a-run" runs in every step, since its images are augmented anew')
    (told,) = remarks(study_on({**base, "copies": 4}, training=augmented))
    assert told == "The outputs of frozen bases are cached on disk: about 0.015 GB."
    assert remarks(study_on({**base, "train": "all"})) == ()


def probabilities(study: str, store: Path) -> Any:
    result = assay.result(study, store=store)
    run = result.runs[0]
    (model,) = load_models(result.record, [run], store)
    return model.probabilities(prepare("digits").training().images[:20])


@pytest.mark.parametrize("filters", [4, 5])
def test_a_study_stays_on_the_weights_that_it_was_trained_on(
    filters: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its base's study is run anew under the same name: for longer, or as a network of other shapes."""

    def first(filters: int, epochs: int) -> Study:
        layers = [f"conv {filters} 3x3 relu", *LAYERS[1:]]
        return small_study(
            name="pre", network={"layers": layers}, factors={}, seeds={"count": 1}, training={"epochs": epochs}
        )

    assay.run(first(4, 1), store=tmp_path)
    result = assay.run(study_on({"weights": "run:pre"}), store=tmp_path)
    content = load_models(result.record, result.runs, tmp_path)[0].arm.base.content
    before = probabilities("on-a-run", tmp_path)
    assay.run(first(filters, 3), store=tmp_path)
    assert assay.result("pre", store=tmp_path).runs[0].weights_sha256 != content
    assert np.array_equal(probabilities("on-a-run", tmp_path), before)
    assert result.reveal()["test_accuracy"].notna().all()
    assert len(result.doubtful_labels().columns) == 7
    assert result.reveal(retrain="on-a-run")["test_accuracy"].notna().all()
    (anew,) = load_models(result.record, result.record.retrained, tmp_path)
    assert anew.arm.base.content == content
    monkeypatch.setattr("assay.runner.bases.bases_folder", lambda: tmp_path / "emptied")
    with pytest.raises(DataError, match=f'run "pre": its weights\' SHA-256 should be {content}'):
        probabilities("on-a-run", tmp_path)


def test_a_run_of_another_content_is_refused(store: Path) -> None:
    with pytest.raises(DataError, match='run "first": its weights\' SHA-256 should be 0000'):
        assay.run(study_on({"weights": "run:first", "content": "0" * 64}, name="other"), store=store)


def test_a_weights_file_that_was_moved_is_still_at_hand(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"block1_conv1": (3, 64), "block1_conv2": (64, 64)}
    arrays = {f"{key}_kernel": rng.normal(0, 0.1, (3, 3, *shape)) for key, shape in shapes.items()}
    np.savez(tmp_path / "w.npz", **arrays, **{f"{key}_bias": np.zeros(64) for key in shapes})
    base = {"name": "vgg16", "weights": str(tmp_path / "w.npz"), "until": "block1"}
    result = assay.run(study_on(base, name="on-a-file"), store=tmp_path / "store")
    before = probabilities("on-a-file", tmp_path / "store")
    (tmp_path / "w.npz").rename(tmp_path / "moved.npz")
    assert np.array_equal(probabilities("on-a-file", tmp_path / "store"), before)
    assert result.reveal()["test_accuracy"].notna().all()


def search_on(base: Any, **changes: Any) -> Study:
    space = {"rate": {"low": 1e-4, "high": 1e-2, "log": True}, **changes.pop("space", {})}
    return Study.of(
        {
            "name": "searched",
            "question": "Which rate is best?",
            "data": {"name": "digits", "validation": 0.2},
            "network": {"layers": HEAD, "base": base},
            "training": {"epochs": 1, "optimizer": {"name": "adam", "learning_rate": "{rate}"}},
            "seeds": {"count": 1},
            "search": {"space": space, "trials": 2, "finalists": 1, **changes},
        }
    )


def test_a_search_stands_on_a_run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = assay.run(search_on({"weights": "run:first"}, constraints=["parameters <= 2000"]), store=store)
    (arm,) = result.record.arms
    assert arm.spec["base"]["content"] == assay.result("first", store=store).runs[0].weights_sha256
    assert result.record.spec["network"]["base"] == {"weights": "run:first"}
    assert probabilities("searched", store).shape == (20, 10)
    assert result.reveal()["test_accuracy"].notna().all()
    chosen = search_on({"weights": "{from}"}, space={"from": ["run:first"]})
    for search in (search_on({"weights": "run:first"}), chosen):
        assert {summary.base.title[:4] for summary in assay.describe(search, store=store).values()} == {"run "}
    with open_writer(store) as writer:
        writer.put_candidates("searched", [], facts={**result.record.search.facts, "base": "0" * 64})
    with pytest.raises(SpecError, match="the run that is the base has other weights than when the search began"):
        assay.run(search_on({"weights": "run:first"}, constraints=["parameters <= 2000"]), store=store)
    monkeypatch.chdir(store.parent)
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    assay.api.check(search_on({"weights": "run:first"}))  # as a study file is read, before a store is named


def test_a_search_on_an_unknown_run_is_told_in_one_sentence(store: Path) -> None:
    with pytest.raises(SpecError) as caught:
        assay.run(search_on({"weights": "run:0123456789"}), store=store)
    assert str(caught.value).startswith('network.base.weights: there is no run whose id begins with "0123456789"')
