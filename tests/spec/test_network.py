"""Blocks in a study: their shape and keys, factors inside them, their canonical form, and the lines of mistakes."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema
import pytest

from assay.errors import SpecError
from assay.runner import check_networks
from assay.spec import (
    Arm,
    Data,
    Network,
    Parallel,
    Repeat,
    Residual,
    Study,
    json_schema,
    parse_study,
    run_fingerprint,
    study_toml,
)

END = ["globalavgpool", "dense classes softmax"]
TEXT = """
[data]
name = "digits"
[network]
layers = ["conv 8 3x3 relu padding=same", # a "comment" with [ and {
  "{after}",
  { repeat = "{depth}", layers = [
    { residual = ["conv 8 3x3 padding=same",
                  'batchnorm'], activation = "{act}" } ] },
  { parallel = [["conv 4 1x1"],
                ["maxpool 3 stride=1 padding=same"], []], join = "concatenate" },
  "globalavgpool", "dense classes softmax"]
[factors]
depth = [1, 3]
act = ["relu", "silu"]
after = { none = [], two = ["batchnorm", "dropout 0.1"] }
"""


def problems(*layers: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        Network.of({"layers": [*layers, *END]})
    return [str(problem) for problem in caught.value.problems]


def test_factors_reach_into_blocks() -> None:
    study = parse_study(TEXT, file="s.toml", name="s", check=check_networks)
    arms = {arm.name: arm for arm in study.expand()}
    assert len(arms) == 8
    arm = arms["depth=3, act=silu, after=two"]
    assert arm.layers[1:3] == ("batchnorm", "dropout 0.1")
    block = Residual(residual=["conv 8 3x3 padding=same", "batchnorm"], activation="silu")
    assert arm.layers[3] == Repeat(repeat=3, layers=[block])
    assert arm.layers[4] == Parallel(parallel=[["conv 4 1x1"], ["maxpool 3 stride=1 padding=same"], []])
    assert [len(summary.layers) for summary in check_networks(study).values()] == [9, 11, 9, 11, 15, 17, 15, 17]


def test_a_level_may_be_a_block_or_hold_some() -> None:
    how = {"none": [], "once": {"residual": ["relu"]}, "twice": [{"repeat": 2, "layers": ["relu"]}, "tanh"]}
    layers = ["conv 8 1x1", "{how}", {"parallel": [["{how}"], ["relu"]]}, *END]
    study = Study.of({"data": {"name": "digits"}, "network": {"layers": layers}, "factors": {"how": how}})
    none, once, twice = (arm.layers for arm in study.expand())
    assert none[1] == Parallel(parallel=[[], ["relu"]])
    assert once[1:3] == (Residual(residual=["relu"]), Parallel(parallel=[[Residual(residual=["relu"])], ["relu"]]))
    assert twice[1:3] == (Repeat(repeat=2, layers=["relu"]), "tanh")


def test_a_study_with_blocks_survives_toml_and_json() -> None:
    study = parse_study(TEXT, file="s.toml", name="s")
    assert parse_study(study_toml(study), file="x", name="s") == study
    for arm in study.expand():
        assert Arm.of(arm.model_dump(mode="json")) == arm


def test_a_block_has_one_canonical_form() -> None:
    short = {"residual": ["relu"]}
    written = {"activation": "linear", "shortcut": [], "residual": ["relu"]}
    made = Residual(residual=("relu",))
    arms = [Arm.of({"name": "a", "layers": [block, *END]}) for block in (short, written, made)]
    assert [arm.identity()["layers"] for arm in arms] == [[short, *END]] * 3
    other = Arm.of({"name": "a", "layers": [{"residual": ["relu"], "activation": "relu"}, *END]})
    identities = {
        run_fingerprint(arm, Data(name="digits"), content="c", seed=0, vary=("init",)) for arm in (*arms, other)
    }
    assert len(identities) == 2


def test_words_alone_are_identified_as_they_are_written() -> None:
    """As before there were blocks, so that the runs of older studies are found again."""
    layers = ["conv  8 3x3 linear", "flatten", "dense classes softmax"]
    assert Arm.of({"name": "a", "layers": layers}).identity()["layers"] == layers


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"residul": ["relu"]}, 'a block with "residul" is none that is known here; did you mean "residual"?'),
        ({"residual": ["relu"], "activaton": "relu"}, '"activaton" is no key of a residual block; did you mean'),
        ({"residual": []}, ".residual: this residual block has no layers; give it at least one."),
        ({"repeat": 2, "layers": []}, ".layers: this repeat block has no layers; give it at least one."),
        ({"repeat": 2}, 'a repeat block needs "layers"; add it.'),
        ({"repeat": 0, "layers": ["relu"]}, ".repeat: got 0; give a whole number, 1 or more."),
        ({"repeat": True, "layers": ["relu"]}, ".repeat: got True; give a whole number, 1 or more."),
        ({"repeat": "three", "layers": ["relu"]}, ".repeat: got 'three'; give a whole number, 1 or more."),
        ({"parallel": [["relu"]]}, "this parallel block has 1 of the 2 branches it needs; add one."),
        ({"parallel": [[], []]}, "no branch of this parallel block has layers; give one of them some."),
        ({"parallel": ["relu", []]}, ".parallel[0]: 'relu' stands where a branch is expected; give a list of layers."),
        ({"residual": ["relu"], "repeat": 2}, "one block cannot be both residual and repeat; put one into the other."),
        ({"residual": "relu"}, ".residual: got 'relu'; give a list."),
        ({"residual": ["relu", {"residual": [3]}]}, ".residual[1].residual[0]: 3 stands where a layer is expected"),
        (3, "3 stands where a layer is expected; give a layer in quotes or a block in braces"),
        ({}, "a block with no keys is none that is known here; give it one of residual, parallel, repeat"),
    ],
)
def test_each_rule_of_a_block_has_its_sentence(block: Any, sentence: str) -> None:
    found = problems("relu", block)
    assert len(found) == 1
    assert found[0].startswith("layers[1]")
    assert sentence in found[0]


@pytest.mark.parametrize("depth", [17, 400])
def test_blocks_are_not_too_deep_in_each_other(depth: int) -> None:
    def nested(depth: int) -> Any:
        block: Any = "relu"
        for _ in range(depth):
            block = {"residual": [block]}
        return block

    assert len(check_networks(_study(nested(16)))["s"].layers) == 19
    assert problems(nested(depth)) == ["layers: blocks lie more than 16 deep in each other; make it flatter."]


def _study(*layers: Any) -> Study:
    return Study.of({"name": "s", "data": {"name": "digits"}, "network": {"layers": [*layers, *END]}})


@pytest.mark.parametrize(
    ("old", "new", "key", "line"),
    [
        ("conv 8 3x3 padding=same", "conv 8 9x9", "network.layers[2].layers[0].residual[0]", 8),
        ("'batchnorm'", "'bachnorm'", "network.layers[2].layers[0].residual[1]", 9),
        ('"{act}"', '"{atc}"', "network.layers[2].layers[0].activation", 9),
        ("conv 4 1x1", "conv 4 0x1", "network.layers[3].parallel[0][0]", 10),
        ("maxpool 3 stride=1 padding=same", "maxpool 30", "network.layers[3].parallel[1][0]", 11),
        ('"concatenate"', '"concat"', "network.layers[3].join", 11),
        ("globalavgpool", "globalavgpol", "network.layers[4]", 12),
        ("dropout 0.1", "maxpool 99", "network.layers[1]", 6),
        ("[1, 3]", "[1, 0]", "network.layers[2].repeat", 7),
    ],
)
def test_a_mistake_in_a_block_is_told_with_its_line(old: str, new: str, key: str, line: int) -> None:
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        parse_study(TEXT.replace(old, new), file="s.toml", name="s", check=check_networks)
    assert (key, line) in {(problem.key, problem.line) for problem in caught.value.problems}


def test_the_schema_knows_blocks() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.validate(tomllib.loads(TEXT))
    for block in ({"residual": ["relu"], "x": 1}, {"repeat": 0, "layers": ["relu"]}, {"parallel": ["relu"]}, 3, {}):
        assert not validator.is_valid({"data": {"name": "digits"}, "network": {"layers": [block, *END]}}), block
