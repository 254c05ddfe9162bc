"""Recipes in study files: what they mean, what is refused, and that older studies' identities stay."""

from __future__ import annotations

from typing import Any

import pytest

from assay.errors import SpecError
from assay.spec import Arm, Search, Study, Training, parse_study, study_toml

BIG = ["flatten", "dense 64 relu", "dense classes softmax"]
SMALL = ["flatten", "dense classes softmax"]
SPACE = {"rate": {"low": 1e-4, "high": 0.1, "log": True}}
TUNED = {
    "name": "tuned",
    "search": {"trials": 3, "sampler": "random", "space": SPACE},
    "training": {"optimizer": {"name": "adam", "learning_rate": "{rate}"}},
}


def study(**changes: Any) -> Study:
    values = {
        "name": "recipes",
        "data": {"name": "digits", "validation": 0.2},
        "network": {"layers": SMALL},
        "training": {"epochs": 4},
        "seeds": {"count": 2},
        **changes,
    }
    return Study.of(values)


def student(**settings: Any) -> dict[str, Any]:
    return {"name": "small", "training": {"distillation": {"teacher": "big", **settings}}}


def test_settings_that_are_not_used_leave_a_run_and_its_spec_as_they_were() -> None:
    arm = Arm(name="a", layers=SMALL)
    off = Training.of({"swa": "none", "distillation": "none", "ensemble": "none", "augmentation": {"cutmix": 0}})
    assert off.identity() == arm.training.identity()
    words = {"swa", "distillation", "ensemble", "teacher", "search", "cutmix"}
    assert not words & set(arm.model_dump(mode="json"))
    assert not words & set(arm.training.model_dump(mode="json"))
    shifted = Training.of({"augmentation": {"shift": 1}})
    assert "cutmix" not in str(shifted.identity()) + str(shifted.model_dump(mode="json"))
    assert Training.of({"augmentation": {"cutmix": 1}}).identity()["augmentation"]["cutmix"] == 1
    for setting in ({"swa": {}}, {"ensemble": 2}):
        assert Training.of(setting).identity() != arm.training.identity()


def test_a_student_is_known_by_all_that_its_teacher_is_and_not_by_its_name() -> None:
    arms = [{"name": "big", "layers": BIG}, student()]
    big, small = study(arms=arms).expand()
    assert small.teacher == big
    renamed = study(arms=[{"name": "large", "layers": BIG}, student(teacher="large")]).expand()[1]
    assert renamed.identity() == small.identity()
    other = study(arms=[{"name": "big", "layers": SMALL}, student()]).expand()[1]
    assert other.identity() != small.identity()
    assert student(temperature=2) != student()
    warm = study(arms=[arms[0], student(temperature=2)]).expand()[1]
    assert warm.identity() != small.identity()


def test_teachers_are_found_among_crossed_arms_and_teach_in_chains() -> None:
    crossed = study(
        factors={"units": [8, 64], "teacher": {"none": "none", "wide": {"teacher": "units=64, teacher=none"}}},
        network={"layers": ["flatten", "dense {units} relu", "dense classes softmax"]},
        training={"epochs": 2, "distillation": "{teacher}"},
    )
    by_name = {arm.name: arm for arm in crossed.expand()}
    assert by_name["units=8, teacher=wide"].teacher == by_name["units=64, teacher=none"]
    assert by_name["units=8, teacher=none"].teacher is None
    chain = study(arms=[
        {"name": "one", "layers": BIG},
        {"name": "two", "training": {"distillation": {"teacher": "one"}}},
        {"name": "three", "training": {"distillation": {"teacher": "two"}}},
    ]).expand()  # fmt: skip
    assert chain[2].teacher is not None
    assert chain[2].teacher.teacher == chain[0]


@pytest.mark.parametrize(
    ("changes", "key", "sentence"),
    [
        ({"arms": [{"name": "big"}, student(teacher="bigg")]}, "arms[1].training.distillation.teacher",
         'no arm "bigg"'),
        ({"arms": [{"name": "big"}, student(teacher="small")]}, "arms[1].training.distillation.teacher", "itself"),
        ({"arms": [{"name": "big", "training": {"distillation": {"teacher": "small"}}}, student()]},
         "arms[1].training.distillation.teacher", 'circle: "big" learns from "small" learns from "big"'),
        ({"arms": [{"name": "big"}, student(seed=1)]}, "arms[1].training.distillation", "other seeds' validation"),
        ({"arms": [{"name": "big"}, student(seed=9)]}, "arms[1].training.distillation", "none of the study's, 0 to 1"),
        ({"arms": [{"name": "big"}, student()], "seeds": {"stop": "decided"}}, "seeds.stop", "each of its seeds"),
        ({"arms": [TUNED, student(teacher="tuned")]}, "arms[1].training.distillation.teacher", "is a search"),
        ({"training": {"distillation": {"teacher": "big", "weight": 0}}}, "training.distillation.weight",
         "more than 0"),
        ({"training": {"ensemble": 1}}, "training.ensemble", "an ensemble of 1 is one network"),
        ({"training": {"ensemble": 1000}}, "training.ensemble", "1,000 members"),
        ({"training": {"ensemble": 2, "quantization": {"weights": 4}}}, "training.ensemble", "in whole numbers"),
        ({"training": {"ensemble": "five"}}, "training.ensemble", "a whole number"),
        ({"training": {"swa": 0.75}}, "training.swa", "a table such as swa = { start = 0.75 }"),
        ({"training": {"swa": {}, "ema_momentum": 0.9}}, "training.swa", "which average of the weights counts"),
        ({"training": {"epochs": 10, "swa": {}, "stop_after": 5}}, "training.swa.start", "from epoch 8 on"),
        ({"training": {"augmentation": {"mixup": 0.2, "cutmix": 1.0}}}, "training.augmentation.cutmix", "in pairs"),
        ({"training": {"loss": "l.py:f", "augmentation": {"cutmix": 1.0}}}, "training.loss", "cutmix modify"),
        ({"arms": [{**TUNED, "search": {"space": SPACE, "seed": 3}}]}, "arms[0].search.seed", "leave it out"),
        ({"arms": [{**TUNED, "search": {"space": SPACE, "finalists": 2}}]}, "arms[0].search.finalists", "trained anew"),
        ({"arms": [{**TUNED, "search": {"space": {"r": [1, 2]}}}]}, "arms[0].search.space", '"{rate}" names no'),
        ({"arms": [TUNED], "seeds": {"stop": "decided"}}, "seeds.stop", "is a search for each seed"),
        ({"arms": [{"name": "a"}, TUNED], "data": {"name": "digits", "validation": "5-fold"}},
         "data.validation", "one split"),
        ({"arms": [{"name": "a"}, TUNED], "data": {"name": ["digits", "mnist"]}}, "data.name", "one data set"),
        ({"arms": [{"name": "a", "training": {"batch_size": "{size}"}}, TUNED], "factors": {"size": [32, 64]}},
         "factors", "crossed with every arm"),
        ({"search": {"space": SPACE}, "training": {**TUNED["training"], "distillation": {"teacher": "x"}}},
         "training.distillation", "no other arms"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_a_sentence(changes: dict[str, Any], key: str, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        study(**changes)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert sentence in f"{problem.what}; {problem.fix}"


def test_one_fixed_teacher_is_for_seeds_that_share_their_split() -> None:
    same = study(arms=[{"name": "big"}, student(seed=1)], data={"name": "digits", "validation": "last 10%"})
    distillation = same.expand()[1].training.distillation
    assert distillation is not None
    assert [distillation.seed_of(seed) for seed in (0, 1)] == [1, 1]
    fixed = study(arms=[{"name": "big"}, student(seed=1)], seeds={"count": 2, "vary": ["init", "order"]})
    assert len(fixed.expand()) == 2


def test_an_arm_that_is_a_search_is_a_search_for_each_seed() -> None:
    whole = study(arms=[{"name": "default"}, TUNED], metric="balanced_accuracy")
    assert Study.of(whole.model_dump(mode="json", exclude_none=True)) == whole
    assert parse_study(study_toml(whole), file="recipes.toml", name="recipes") == whole
    arm = whole.expand()[1]
    searches = [whole.searched(arm, seed) for seed in (0, 1)]
    assert [one.name for one in searches] == ["recipes.tuned.seed0", "recipes.tuned.seed1"]
    assert all(one.search is not None and one.search.objective == ("balanced_accuracy",) for one in searches)
    seeds = [seed for one in searches if one.search is not None for seed in one.search.seeds]
    assert len(set(seeds)) == 2
    assert not set(seeds) & {0, 1}
    with pytest.raises(SpecError, match="has chosen nothing"):
        arm.at(0)
    assert arm.search is not None
    assert arm.identity()["search"]["search"]["trials"] == 3
    chosen = arm.model_copy(update={"search": arm.search.model_copy(update={"chosen": {"0": {"rate": 0.01}}})})
    assert chosen.at(0).training.optimizer.learning_rate == 0.01
    assert chosen.at(0).search is None
    assert chosen.at(0).identity() == Arm(name="x", layers=SMALL, training=Training.of(
        {"epochs": 4, "optimizer": {"name": "adam", "learning_rate": 0.01}})).identity()  # fmt: skip
    assert Arm.of(chosen.model_dump(mode="json")) == chosen
    assert chosen.identity() == arm.identity()


def test_a_search_made_in_python_keeps_its_objective() -> None:
    made = study(
        search=Search(space=SPACE), training={"optimizer": {"name": "adam", "learning_rate": "{rate}"}}
    )  # fmt: skip
    assert made.search is not None
    assert made.search.objective == ("validation_accuracy",)
