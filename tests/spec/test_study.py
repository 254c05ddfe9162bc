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
        ({"seeds": {"count": 0}}, "seeds.count", "greater than or equal to 1"),
        ({"data": {"name": "digits", "validation": 1.5}}, "data.validation", "give a share such as 0.1 or a count"),
        ({"training": {"optimizer": {"name": "sgd", "rho": 0.9}}}, "training.optimizer", "sgd has no rho"),
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
    wrong["training"] = {"epochs": "{n}", "optimizer": {"name": "sgd", "learning_rate": "{rate}"}}
    assert validator.is_valid(wrong)
