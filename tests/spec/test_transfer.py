"""A base in a study file: factors in it, its place in arms, what it adds to a run's identity."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema
import pytest

from assay.errors import SpecError
from assay.runner import check_networks
from assay.spec import Arm, Base, Data, Study, json_schema, parse_study, run_fingerprint, study_toml

TEXT = """
[data]
name = "mnist"
training = "100 per class"
[network]
base = { name = "vgg16", size = 32, until = "{until}", train = "{how.train}", weights = "{how.weights}", \
learning_rate_scale = { block1 = 0.1 }, unfreeze = {} }
layers = ["flatten", "dense classes softmax"]
[factors]
until = ["block1", "block2"]
how = { frozen = { train = "none", weights = "imagenet" }, scratch = { train = "all", weights = "random" } }
[[arms]]
name = "as the network"
[[arms]]
name = "another base"
base = { name = "squeezenet", size = 48, until = "{until}", train = "{how.train}", weights = "{how.weights}" }
"""
HEAD = ("flatten", "dense classes softmax")


def read(text: str, **changes: Any) -> Study:
    return parse_study(text, file="/somewhere/s.toml", name="s", check=check_networks, **changes)


def identity(base: dict[str, Any] | None, data: dict[str, Any] | None = None) -> str:
    arm = Arm(name="a", layers=HEAD, base=base)
    told = Data(name="mnist", **(data or {}))
    return run_fingerprint(arm, told, content="c", seed=0, vary=("init",))


def test_factors_reach_into_bases_and_arms_bring_their_own() -> None:
    study = read(TEXT)
    arms = {arm.name: arm for arm in study.expand()}
    assert len(arms) == 8
    one = arms["as the network, until=block2, how=scratch"].base
    assert one == Base(
        name="vgg16", size=32, until="block2", train="all", weights="random", learning_rate_scale={"block1": 0.1}
    )
    other = arms["another base, until=block1, how=frozen"].base
    assert other is not None
    assert (other.name, other.is_frozen) == ("squeezenet", True)
    again = read(study_toml(study))
    assert again == study


def test_an_arm_with_layers_of_its_own_has_no_base_of_the_network() -> None:
    study = Study.of({
        "data": {"name": "mnist"},
        "network": {"layers": HEAD, "base": {"name": "vgg16", "size": 32}},
        "arms": [{"name": "on it"}, {"name": "none", "base": "none"}, {"name": "own", "layers": HEAD}],
    })  # fmt: skip
    assert [arm.base is not None for arm in study.expand()] == [True, False, False]


def test_a_whole_base_may_be_a_level() -> None:
    base = {"none": "none", "vgg": {"name": "vgg16", "size": 32}}
    study = Study.of(
        {"data": {"name": "mnist"}, "network": {"layers": HEAD, "base": "{base}"}, "factors": {"base": base}}
    )
    assert [arm.base and arm.base.name for arm in study.expand()] == [None, "vgg16"]


def test_editors_know_the_keys() -> None:
    schema = json_schema()
    jsonschema.validate(tomllib.loads(TEXT), schema)
    for wrong in ({"name": "vgg16", "untill": "block1"}, {"name": "vgg16", "copies": -1}, 3):
        values = tomllib.loads(TEXT) | {"network": {"layers": list(HEAD), "base": wrong}}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"data": {"name": "mnist", "training": "100"}}, schema)


def test_a_weights_file_lies_beside_the_study() -> None:
    text = TEXT.replace('weights = "imagenet"', 'weights = "kept/w.h5"')
    found = {arm.base.weights for arm in read(text).expand() if arm.base}
    assert found == {"/somewhere/kept/w.h5", "random"}


def test_a_run_is_known_by_its_weights_content_and_not_by_their_place() -> None:
    here = {"name": "vgg16", "weights": "/here/w.h5", "content": "1" * 64}
    assert identity(here) == identity({**here, "weights": "/there/v.h5"})
    others = [
        None, {**here, "content": "2" * 64}, {**here, "until": "block2"}, {**here, "train": "all"},
        {**here, "preprocessing": "none"}, {**here, "size": 40}, {**here, "learning_rate_scale": 0.1},
        {**here, "unfreeze": {2: "all"}}, {**here, "statistics": "moving"},
    ]  # fmt: skip
    assert len({identity(base) for base in [here, *others]}) == len(others) + 1


def test_what_came_later_leaves_older_runs_as_they_were() -> None:
    assert "base" not in Arm(name="a", layers=HEAD).identity()
    assert "training" not in Data(name="mnist").identity()
    assert identity(None, {"training": "100 per class"}) != identity(None)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('until = "{until}", train = "{how.train}", weights', 'until = "{untill}", train = "{how.train}", weights',
         'network.base: "{untill}" names no factor; did you mean "until"?'),
        ('"block2"]', '"block9"]', 'network.base.until: until = "block9" names no block of VGG16'),
        ("size = 48", "size = 12", "arms[1].base.size: images of 12 x 12 are smaller than the 15 x 15"),
        ('"100 per class"', '"100"', 'data.training: got "100"; give such as "100 per class"'),
        ("unfreeze = {}", 'unfreeze = { 1 = "all" }', 'network.base.unfreeze.1: "1" is no epoch'),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(old: str, new: str, told: str) -> None:
    assert old in TEXT
    with pytest.raises(SpecError) as caught:
        read(TEXT.replace(old, new))
    assert any(told in str(problem) for problem in caught.value.problems), str(caught.value)
