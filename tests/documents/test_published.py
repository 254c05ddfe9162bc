"""The published systems, and that the shipped studies are them."""

from __future__ import annotations

from pathlib import Path

import pytest

import assay
from assay import api
from assay.data import find_weights
from assay.documents import chosen, published, reproduction
from assay.errors import DataError, SpecError
from assay.spec import Study

RUNNABLE = [system for system in published() if not system.waits or system.needs]


@pytest.fixture(scope="module", autouse=True)
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Document D's tables, small ones, where the studies look for them."""
    from assay.data.make import make

    folder = tmp_path_factory.mktemp("documents")
    make("digits", folder / "document-d", variation="random-background", form="csv", num_training=60, num_test=20)
    return folder


@pytest.fixture
def studies(tables: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Study]:
    monkeypatch.chdir(tables)
    monkeypatch.setattr(api, "check", lambda study: None)  # the small tables are 8 x 8
    return {name: assay.load(name) for name in {system.study for system in RUNNABLE}}


def test_there_are_33_systems_of_five_documents() -> None:
    assert len(published()) == len({system.key for system in published()}) == 33
    assert {system.document for system in published()} == set("ABCDE")
    assert all(system.key.startswith(system.document) for system in published())
    assert all(0.5 < system.accuracy < 1 for system in published())


def test_every_system_is_an_arm_of_a_shipped_study_or_says_what_it_waits_for(studies: dict[str, Study]) -> None:
    assert {system.key for system in published() if system.waits and not system.needs} == set()
    assert {system.key for system in published() if system.needs} == {"A-vgg16-frozen", "D-vgg16-frozen"}
    for system in RUNNABLE:
        if studies[system.study].search is not None:
            continue  # its arm is what the search finds
        assert system.arm in {arm.name for arm in studies[system.study].expand()}, system.key


@pytest.mark.parametrize("system", RUNNABLE, ids=lambda system: system.key)
def test_our_network_has_the_published_parameters(system, studies: dict[str, Study]) -> None:
    from assay.nets import summary_of

    study = studies[system.study]
    if study.search is not None:  # the document prints the values of its best trial, and no counts
        best = {"units": 416, "activation": "sigmoid", "dropout": 0.1, "learning_rate": "0.0001"}
        summary = summary_of(study.candidate("best", best), (28, 28, 1), 10)
        assert (summary.parameters, summary.trainable) == (624_938, 624_554)  # tests/nets/published.toml, by hand
        return
    (arm,) = (arm for arm in study.expand() if arm.name == system.arm)
    summary = summary_of(arm, (28, 28, 1), 10)
    assert (summary.parameters, summary.trainable) == (system.parameters, system.trainable)
    assert arm.training.epochs == system.epochs


def test_documents_and_systems_are_chosen_by_name() -> None:
    assert {system.document for system in chosen(["a", "E-budget"])} == {"A", "E"}
    assert [system.key for system in chosen(["b-5x5-tiny"])] == ["B-5x5-tiny"]
    assert chosen([]) == published()
    with pytest.raises(SpecError, match='"A-grid-5x5-65" is no document and no system; did you mean "A-grid-5x5-64"'):
        chosen(["A", "A-grid-5x5-65"])


def test_a_part_of_a_study_leaves_the_whole_one_alone(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    part = reproduction._study("document-a", chosen(["A-no-dropout"]), False, 2)
    assert ([arm.name for arm in part.arms], part.seeds.planned) == (["A-no-dropout"], 2)
    assert (part.name != "document-a", reproduction._whole(part.name)) == (True, "document-a")
    whole = reproduction._study("document-a", chosen(["A"]), False, None)
    assert whole == assay.load("document-a")


def test_as_published_leaks_where_the_document_did(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tables)
    for letter, leaks, scaling in (("A", True, "unit"), ("C", False, "none")):
        systems = chosen([letter])
        study = reproduction._study(f"document-{letter.lower()}", systems, True, None)
        assert study.name == f"document-{letter.lower()}-as-published"
        assert (study.data.is_leaky, study.data.scaling) == (leaks, scaling)
    assert reproduction._names(chosen(["D", "E"]), as_published=True) == []


def test_what_needs_a_weights_file_waits_for_it_and_runs_when_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path))
    file = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    (waiting,) = chosen(["A-vgg16-frozen"])
    assert waiting.waits == f"{file} (`assay data fetch vgg16`, or put it into the folder weights of ASSAY_DATA)"
    assert reproduction._names([waiting], as_published=False) == []
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / file).touch()
    (ready,) = chosen(["A-vgg16-frozen"])
    assert ready.waits == ""
    assert reproduction._names([ready], as_published=False) == ["document-a-vgg16"]
    with pytest.raises(DataError, match="this is not the published file of vgg16: its MD5 should be 6d6bbae1"):
        find_weights("vgg16")
