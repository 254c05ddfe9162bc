"""How many images are learned from, as a factor."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assay.data import prepare, split_for
from assay.errors import SpecError
from assay.runner import check_split, make_plan
from assay.spec import Study, parse_study, study_toml

LAYERS = ["flatten", "dense classes softmax"]


def study(sizes: object = (5, 20, "all"), images: str = "{images} per class", **more: object) -> Study:
    factors = {"images": sizes if isinstance(sizes, dict) else list(sizes)}  # type: ignore[call-overload]
    values = {"name": "sizes", "data": {"name": "digits", "training": images}, "network": {"layers": LAYERS}}
    return Study.of({**values, "factors": factors, "seeds": {"count": 2}, **more})


def test_each_arm_learns_from_its_own_number_of_images():
    design = study()
    assert [(arm.name, arm.images) for arm in design.expand()] == [
        ("images=5", "5 per class"), ("images=20", "20 per class"), ("images=all", "all per class"),
    ]  # fmt: skip
    assert [design.data_of(arm).per_class for arm in design.expand()] == [5, 20, None]
    assert parse_study(study_toml(design), file="sizes.toml", name="sizes").expand() == design.expand()


def test_a_level_may_say_more_than_the_number():
    design = study(
        {"few": {"size": "5 per class", "epochs": 40}, "many": {"size": "all per class", "epochs": 4}},
        "{images.size}",
        training={"epochs": "{images.epochs}"},
    )
    assert [(arm.images, arm.training.epochs) for arm in design.expand()] == [("5 per class", 40), ("all per class", 4)]


def test_its_runs_are_those_of_studies_with_that_number(tmp_path):
    dataset = prepare(study().data)
    varied = {arm: task.id for arm, task in make_plan(study(), dataset, tmp_path).members if task.seed == 1}
    for size, arm in ((5, "images=5"), (20, "images=20"), ("all", "images=all")):
        alone = Study.of(
            {"name": "one", "data": {"name": "digits", "training": f"{size} per class"}, "network": {"layers": LAYERS}}
        )
        (task,) = [task for _, task in make_plan(alone, dataset, tmp_path).members if task.seed == 1]
        assert task.id == varied[arm]
    plain = Study.of({"name": "one", "data": {"name": "digits"}, "network": {"layers": LAYERS}})
    assert varied["images=all"] in [task.id for _, task in make_plan(plain, dataset, tmp_path).members]
    assert "images" not in plain.expand()[0].model_dump(mode="json")


def test_sizes_of_a_seed_lie_within_each_other_and_leave_validation_alone():
    design, training = study((5, 20, 60, "all")), prepare(study().data).training()
    parts = [split_for(training, design.data_of(arm), seed=3, vary=["split"]) for arm in design.expand()]
    for smaller, larger in itertools.pairwise(parts):
        assert np.isin(smaller.training, larger.training).all()
        assert np.array_equal(smaller.validation, larger.validation)
        assert not np.isin(larger.training, larger.validation).any()
    for part, size in zip(parts, (5, 20, 60), strict=False):
        assert (np.bincount(training.labels[part.training]) == size).all()


def test_sizes_beyond_what_a_class_has_are_named_before_anything_runs():
    design = study((5, 400, 900))
    with pytest.raises(SpecError) as caught:
        check_split(design, prepare(design.data))
    assert [problem.what.split(" and ")[0] for problem in caught.value.problems] == [
        "got 400 per class,", "got 900 per class,",
    ]  # fmt: skip
    assert all(problem.fix.startswith("give at most ") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("more", "key", "what"),
    [
        ({"sizes": (5, "some")}, "factors.images", "got 'some per class'"),
        ({"sizes": (0, 5)}, "factors.images", "got '0 per class'"),
        ({"images": "{image} per class"}, "data.training", '"{image}" names no factor'),
        ({"images": "{images} a class"}, "data.training", 'got "{images} a class"'),
        ({"images": "{images}"}, "factors.images", "got 5 for [data] training"),
    ],
)
def test_what_is_no_number_of_images_is_named(more, key, what):
    with pytest.raises(SpecError) as caught:
        study(**more)
    assert any(problem.key == key and what in problem.what for problem in caught.value.problems)


def test_a_search_has_one_number_of_images():
    with pytest.raises(SpecError, match="a search has one number of training images"):
        Study.of(
            {
                "name": "s", "data": {"name": "digits", "training": "{width} per class"},
                "network": {"layers": ["flatten", "dense {width} relu", "dense classes softmax"]},
                "search": {"space": {"width": [4, 8]}},
            }
        )  # fmt: skip
