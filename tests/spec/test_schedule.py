"""Schedules and augmentation as specs: filled in, comparable, wrong in sentences."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from assay.errors import SpecError
from assay.spec import Arm, Training, json_schema, parse_study
from assay.spec.augmentation import Augmentation
from assay.spec.schedule import DEFAULTS, Schedule

STUDY = """
[data]
name = "digits"
[network]
layers = ["flatten", "dense classes softmax"]
[factors]
rotation = [0, 15]
schedule = ["constant", "cosine"]
[training]
schedule = "{schedule}"
augmentation = { rotation = "{rotation}", fill = "nearest" }
"""


def problems(values: dict[str, Any]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        Training.of(values)
    return list(map(str, caught.value.problems))


def test_two_ways_to_write_a_schedule_are_one() -> None:
    short = Training.of({"schedule": "cosine"})
    assert short == Training.of({"schedule": {"name": "cosine", "warmup_epochs": 0, "final": 0}})
    assert short.schedule.final == 0
    assert short.schedule.factor is None
    assert Training().schedule == Schedule(name="constant")


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_schedule_has_its_own_settings_and_no_other(name: str) -> None:
    given = {"factor": 0.5, "every": 2}
    own = {key: value for key, value in given.items() if key in DEFAULTS[name]}
    filled = Schedule.of({"name": name, **own}).model_dump(exclude_none=True)
    assert set(filled) == {"name", *DEFAULTS[name]}
    foreign = next(key for key in ("peak_at", "patience") if key not in DEFAULTS[name])
    with pytest.raises(SpecError, match=f"{name} has no {foreign}"):
        Schedule.of({"name": name, **own, foreign: 1})


def test_every_problem_of_a_schedule_is_named() -> None:
    found = problems({"schedule": {"name": "step", "min": 0.1}})
    assert [line.split(":")[0] for line in found] == ["schedule.min", "schedule.every", "schedule.factor"]
    assert "step has no min; it has every, factor." in found[0]
    assert "step needs every; give it." in found[1]
    assert 'did you mean "cosine"?' in problems({"schedule": "cosin"})[0]
    assert 'give "constant", "cosine"' in problems({"schedule": "wavy"})[0]
    assert 'did you mean "final"?' in problems({"schedule": {"name": "cosine", "finl": 0.1}})[0]
    assert "warm-up takes 10 epochs of 10" in problems({"schedule": {"name": "cosine", "warmup_epochs": 10}})[0]


@pytest.mark.parametrize(
    "settings",
    [{"shift": -1}, {"zoom": 1.0}, {"shear": 90}, {"crop": 0.5}, {"fill_value": 256}, {"flip": "left"}, {"mixup": -1}],
)
def test_an_augmentation_outside_its_range_is_refused(settings: dict[str, Any]) -> None:
    assert f"augmentation.{next(iter(settings))}: got" in problems({"augmentation": settings})[0]


def test_an_augmentation_whose_every_kind_is_off_is_none() -> None:
    for off in (None, {}, {"rotation": 0, "fill": "reflect"}):
        assert Training.of({"augmentation": off}) == Training()
    assert Training.of({"augmentation": {"mixup": 0.2}}).augmentation == Augmentation(mixup=0.2)
    assert "augmentation" not in Arm(name="a", layers=("flatten",)).identity()["training"]


def test_schedule_and_augmentation_can_be_factors() -> None:
    arms = parse_study(STUDY, file="study.toml", name="study").expand()
    found = {(arm.training.schedule.name, getattr(arm.training.augmentation, "rotation", None)) for arm in arms}
    assert found == {("constant", None), ("cosine", None), ("constant", 15), ("cosine", 15)}
    wrong = STUDY.replace("15]", "270]")
    with pytest.raises(SpecError, match=r"study.toml:11, training.augmentation.rotation: got 270"):
        parse_study(wrong, file="study.toml", name="study")


def test_the_schema_knows_names_tables_and_placeholders() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    good: list[dict[str, Any]] = [
        {"schedule": "cosine", "augmentation": {"rotation": "{angle}", "fill": "nearest"}},
        {"schedule": {"name": "step", "every": 3, "factor": "{factor}"}},
        {"schedule": "{schedule}", "augmentation": "{augmentation}"},
    ]
    for training in good:
        assert list(validator.iter_errors({"data": {"name": "digits"}, "training": training})) == []
    bad: list[dict[str, Any]] = [
        {"schedule": "cosin"},
        {"schedule": {"finl": 1}},
        {"augmentation": {"rotate": 1}},
        {"augmentation": {"shift": "far"}},
    ]
    for training in bad:
        assert list(validator.iter_errors({"data": {"name": "digits"}, "training": training})) != []
