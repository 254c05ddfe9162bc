from __future__ import annotations

import pytest

from assay.errors import SpecError
from assay.spec import Arm, Data, Optimizer, Study, Training, json_schema, parse_study, run_fingerprint, study_toml


def study(**changes: object) -> Study:
    values = {
        "data": {"name": "digits"},
        "network": {"layers": ["flatten", "dropout {rate}", "dense classes softmax"]},
        "factors": {"rate": [0.0, 0.5]},
        **changes,
    }
    return Study.of({key: value for key, value in values.items() if value is not None})


def problems(**changes: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        study(**changes)
    return [str(problem) for problem in caught.value.problems]


def test_crossed_factors_expand_into_arms() -> None:
    arms = study(
        network={"layers": ["conv {filters} {kernel} relu", "flatten", "dropout {rate}", "dense classes softmax"]},
        factors={"rate": [0.0, 0.5], "kernel": ["3x3", "5x5"], "filters": [8, 16]},
    ).expand()
    assert len(arms) == 8
    assert arms[0].name == "rate=0, kernel=3x3, filters=8"
    assert arms[-1].layers[0] == "conv 16 5x5 relu"
    assert arms[-1].levels == {"rate": "0.5", "kernel": "5x5", "filters": "16"}


def test_a_level_may_stand_for_several_layers_or_none() -> None:
    arms = study(
        network={"layers": ["conv 4 3x3 relu {how.kernel}", "{how.after}", "flatten", "dense classes softmax"]},
        factors={
            "how": {
                "none": {"kernel": "", "after": []},
                "l2": {"kernel": "l2=0.01", "after": []},
                "both": {"kernel": "", "after": ["batchnorm", "dropout 0.1"]},
            }
        },
    ).expand()
    assert [arm.name for arm in arms] == ["how=none", "how=l2", "how=both"]
    assert arms[0].layers == ("conv 4 3x3 relu", "flatten", "dense classes softmax")
    assert arms[1].layers[0] == "conv 4 3x3 relu l2=0.01"
    assert arms[2].layers[1:3] == ("batchnorm", "dropout 0.1")


def test_placeholders_in_training_keep_their_type() -> None:
    arms = study(
        network={"layers": ["flatten", "dense classes softmax"]},
        factors={"rate": [0.1, 0.01], "batch": [16, 32]},
        training={"batch_size": "{batch}", "optimizer": {"name": "sgd", "learning_rate": "{rate}"}},
    ).expand()
    assert [(a.training.batch_size, a.training.optimizer.learning_rate) for a in arms] == [
        (16, 0.1), (32, 0.1), (16, 0.01), (32, 0.01),
    ]  # fmt: skip


def test_listed_arms_override_training() -> None:
    arms = study(
        network=None,
        factors=None,
        training={"epochs": 3},
        arms=[
            {"name": "a", "layers": ["flatten", "dense classes softmax"]},
            {"name": "b", "layers": ["flatten", "dense classes softmax"], "training": {"epochs": 5}},
        ],
    ).expand()
    assert [(arm.name, arm.training.epochs) for arm in arms] == [("a", 3), ("b", 5)]


def test_every_problem_is_named_at_once() -> None:
    text = """
question = "x"
[data]
name = "digits"
validaton = 0.2
scaling = "units"
[network]
layers = ["flatten",
 "dropout {rat}",
 "dense classes softmax"]
[factors]
rate = [0.0, 0.5]
[training]
optimizer = { name = "adm", learning_rate = -1 }
epochs = 0
[seeds]
count = "3"
"""
    with pytest.raises(SpecError) as caught:
        parse_study(text, file="s.toml", name="s")
    told = {(problem.key, problem.line) for problem in caught.value.problems}
    assert told == {
        ("data.validaton", 5),
        ("data.scaling", 6),
        ("network.layers[1]", 9),
        ("factors.rate", 12),
        ("training.optimizer.name", 14),
        ("training.optimizer.learning_rate", 14),
        ("training.epochs", 15),
        ("seeds.count", 17),
    }
    sentences = [str(problem) for problem in caught.value.problems]
    assert any('did you mean "validation"?' in sentence for sentence in sentences)
    assert any('did you mean "rate"?' in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"network": None, "factors": None}, "network", "there is no network"),
        ({"factors": {"rate": [0.1], "unused": [1]}}, "factors.unused", "no placeholder uses this factor"),
        ({"factors": {}}, "network.layers[1]", '"{rate}" names no factor'),
        ({"factors": {"rate": []}}, "factors.rate", "give a list of values"),
        ({"factors": {"rate": [0.5, 0.5]}}, "factors.rate", "listed twice"),
        ({"seeds": {"count": 0}}, "seeds.count", "got 0; give 1 or more"),
        ({"data": {"name": "digits", "validation": 1.5}}, "data.validation", "give a share such as 0.1 or a count"),
        ({"training": {"optimizer": {"name": "sgd", "rho": 0.9}}}, "training.optimizer", "sgd has no rho"),
        ({"data": {"name": "digits", "validation": "last 200%"}}, "data.validation", "got 'last 200%'; give"),
        ({"data": {"name": "digits", "validation": "1-fold"}}, "data.validation", "got 1 folds; give 2 or more"),
        ({"data": {"name": "digits", "validation": {"lst": 3}}}, "data.validation", "give a share such as 0.1 or a"),
        ({"training": {"early_stopping": {"patience": -1}}}, "training.early_stopping.patience", "got -1"),
        ({"training": {"early_stopping": {"patienc": 1}}}, "training.early_stopping.patienc", '"patience"?'),
        ({"training": {"early_stopping": 5}}, "training.early_stopping", 'or "none"'),
        ({"training": {"keep": "first"}}, "training.keep", 'give "last", "best" or a table'),
        ({"training": {"keep": {"best": "loss"}}}, "training.keep.best", 'give "validation_loss"'),
        ({"training": {"class_weights": "even"}}, "training.class_weights", 'give "balanced"'),
        ({"training": {"class_weights": {"3": 0}}}, "training.class_weights.3", "give a number above 0"),
        ({"training": {"clip_norm": 1, "clip_value": 1}}, "training.clip_value", "give one of them"),
        ({"training": {"ema_momentum": 1}}, "training.ema_momentum", "less than 1"),
        ({"training": {"epoch": 3}}, "training.epoch", 'did you mean "epochs"?'),
        ({"arms": [{"name": "a"}, {"name": "a"}]}, "arms", 'two arms are called "a, rate=0"'),
        ({"colour": 1}, "colour", "not known here"),
    ],
)
def test_each_rule_has_its_sentence(changes: dict[str, object], key: str, words: str) -> None:
    found = problems(**changes)
    assert any(sentence.startswith(f"{key}:") and words in sentence for sentence in found), found


def test_broken_toml_names_file_and_line() -> None:
    with pytest.raises(SpecError, match=r"s\.toml:2: this is not valid TOML"):
        parse_study("question = 'x'\n[data\n", file="s.toml", name="s")


def test_constructing_a_spec_in_python_raises_the_same_error() -> None:
    with pytest.raises(SpecError) as caught:
        Training(epochs=0, batch_size=-1)
    assert len(caught.value.problems) == 2


def test_specs_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Training().epochs = 3  # type: ignore[misc]


def test_a_study_survives_toml() -> None:
    original = study(question="is it so?", training={"optimizer": {"name": "rmsprop", "momentum": 0.9}})
    assert parse_study(study_toml(original), file="x", name="other") == original


def test_an_optimizer_by_name_is_the_one_with_the_defaults_written_out() -> None:
    assert Training(optimizer="adam").optimizer == Optimizer(name="adam", learning_rate=0.001, epsilon=1e-7)


def arm(**changes: object) -> Arm:
    return Arm.of({"name": "a", "layers": ["flatten", "dense classes softmax"], **changes})


def identify(arm: Arm, data: Data | None = None, *, content: str = "c", seed: int = 0) -> str:
    return run_fingerprint(arm, data or Data(name="digits"), content=content, seed=seed, vary=("init", "split"))


def test_a_fingerprint_covers_what_matters_and_nothing_else() -> None:
    same = identify(arm())
    assert identify(arm(name="b", levels={"x": "1"})) == same
    assert identify(arm(), Data(name="copy-of-digits")) == same
    others = [
        identify(arm(), seed=1),
        identify(arm(), content="d"),
        identify(arm(), Data(name="digits", validation=0.2)),
        identify(arm(layers=["flatten", "dropout 0.1", "dense classes softmax"])),
        identify(arm(training={"epochs": 11})),
    ]
    assert len({same, *others}) == 6


# As computed by the first release: a run that was made then must never be trained again for what came later.
@pytest.mark.parametrize(
    ("training", "data", "expected"),
    [
        ({}, {}, "2cdab3c524b098d6d6c6dba1deaa6b185092554d1d0a8194875c9f0f0e68e1e2"),
        (
            {"schedule": {"name": "plateau", "patience": 2}},
            {},
            "29bcaaf572c59f514c00b48598f72c3bc84518f36f780f208b68c7a101a82c71",
        ),
        (
            {
                "schedule": {"name": "cosine", "warmup_epochs": 1},
                "optimizer": {"name": "sgd", "momentum": 0.9},
                "augmentation": {"shift": 2},
            },
            {},
            "f08e2072af781c67f19d6ae2dfaaf8cb217003dd9988b11e9e80efd02324ca89",
        ),
        (
            {},
            {"validation": 0.2, "stratified": False, "scaling": "none"},
            "47821be7b099318503d5471238db9a86755d128b84f4148bc80e7ce9ebdb8fc6",
        ),
        ({}, {"validation": 5000}, "a62dac6f81667966dd190ba0d76deb484a4430018c9b0f43deac20d029689814"),
    ],
)
def test_fingerprints_never_change(training: dict[str, object], data: dict[str, object], expected: str) -> None:
    assert identify(arm(training=training), Data.of({"name": "digits", **data}), seed=3) == expected


def test_a_setting_that_says_what_goes_without_saying_changes_no_fingerprint() -> None:
    said = {
        "early_stopping": "none", "keep": "last", "class_weights": "none", "label_smoothing": 0, "clip_norm": 0,
        "global_clip_norm": 0, "clip_value": 0, "ema_momentum": 0,
    }  # fmt: skip
    assert identify(arm(training=said)) == identify(arm())
    plateau = {"name": "plateau", "min_delta": 1e-4, "cooldown": 0, "min_learning_rate": 0}
    assert identify(arm(training={"schedule": plateau})) == identify(arm(training={"schedule": "plateau"}))
    others = [
        {"early_stopping": {"patience": 2}}, {"early_stopping": {"patience": 3}}, {"keep": {"best": "train_loss"}},
        {"class_weights": "balanced"}, {"class_weights": {"1": 2.0}}, {"label_smoothing": 0.1}, {"clip_norm": 1},
        {"global_clip_norm": 1}, {"clip_value": 1}, {"ema_momentum": 0.9}, {"stop_after": 3},
        {"schedule": {**plateau, "cooldown": 1}},
    ]  # fmt: skip
    prints = {identify(arm(training=training)) for training in ({}, *others)}
    assert len(prints) == 1 + len(others)


@pytest.mark.parametrize(
    ("written", "plain", "stratified"),
    [
        (0.2, 0.2, True),
        (5000, 5000, True),
        ({"last": 2400}, {"last": 2400}, False),
        ("last 20%", {"last": 0.2}, False),
        ("last 12.5 %", {"last": 0.125}, False),
        ("last 2400", {"last": 2400}, False),
        ("5-fold", {"folds": 5}, True),
        ({"folds": 5}, {"folds": 5}, True),
    ],
)
def test_every_way_to_set_validation_images_aside(written: object, plain: object, stratified: bool) -> None:
    import jsonschema

    data = Data.of({"name": "digits", "validation": written})
    assert (data.model_dump(mode="json")["validation"], data.stratified) == (plain, stratified)
    assert Data.of(data.model_dump(mode="json")) == data
    original = study(data={"name": "digits", "validation": written})
    assert parse_study(study_toml(original), file="x", name="other") == original
    jsonschema.validate({"name": "digits", "validation": written}, json_schema()["$defs"]["Data"])
    assert identify(arm(), data) != identify(arm(), Data(name="digits", validation=0.3))


@pytest.mark.parametrize(
    ("key", "written", "plain"),
    [
        ("test", 0.2, 0.2),
        ("test", 2000, 2000),
        ("test", "last 2000", {"last": 2000}),
        ("test", "last 20%", {"last": 0.2}),
        ("test", {"last": 30}, {"last": 30}),
        ("test", "/x/test.csv", "/x/test.csv"),
        ("groups", "patient", {"column": "patient", "before": None, "folder": False}),
        ("groups", {"column": "folder"}, {"column": "folder", "before": None, "folder": False}),
        ("groups", "folder", {"column": None, "before": None, "folder": True}),
        ("groups", {"before": "_"}, {"column": None, "before": "_", "folder": False}),
    ],
)
def test_every_way_to_draw_a_test_split_and_to_tell_groups(key: str, written: object, plain: object) -> None:
    import jsonschema

    values = {"path": "/x/a.csv", key: written}
    data = Data.of(values)
    assert data.model_dump(mode="json")[key] == plain
    assert Data.of(data.model_dump(mode="json")) == data
    original = study(data=values)
    assert parse_study(study_toml(original), file="/y/s.toml", name="other") == original
    jsonschema.validate(values, json_schema()["$defs"]["Data"])
    # Where the data come from is told by their content, and no part of what identifies a run.
    assert identify(arm(), data) == identify(arm(), Data(path="/x/a.csv"))


def test_only_a_study_as_published_may_validate_on_the_test_images() -> None:
    (told,) = problems(data={"name": "digits", "validation": "test"})
    assert told.startswith("data.validation: the test images are sealed")
    assert "as_published = true" in told
    assert study(data={"name": "digits", "validation": "test", "as_published": True}).data.is_leaky
    assert not study(data={"name": "digits", "as_published": True}).data.is_leaky
    (told,) = problems(data={"name": "digits", "validation": "none"})
    assert "a study needs validation images to choose by" in told


def test_the_schema_accepts_what_we_ship_and_refuses_a_typo() -> None:
    import tomllib

    import jsonschema

    from assay import shipped

    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    for path in shipped().values():
        validator.validate(tomllib.loads(path.read_text()))
    wrong = {"data": {"name": "digits"}, "network": {"layers": ["flatten"]}, "training": {"epoch": 3}}
    assert not validator.is_valid(wrong)
    protocol = {
        "early_stopping": {"metric": "train_loss", "patience": "{n}"}, "keep": {"best": "{metric}"}, "stop_after": 3,
        "class_weights": {"3": 2.0}, "label_smoothing": 0.1, "global_clip_norm": 1, "ema_momentum": 0.9,
        "schedule": {"name": "plateau", "cooldown": 2, "min_delta": 0, "min_learning_rate": 1e-5},
    }  # fmt: skip
    off = {"early_stopping": "none", "keep": "last", "class_weights": "balanced"}
    for right in (protocol, off):
        assert validator.is_valid({**wrong, "training": right})
    for key, value in {"early_stopping": {"patienc": 1}, "keep": "first", "class_weights": "even"}.items():
        assert not validator.is_valid({**wrong, "training": {key: value}}), key
    wrong["training"] = {"epochs": "{n}", "optimizer": {"name": "sgd", "learning_rate": "{rate}"}}
    assert validator.is_valid(wrong)
