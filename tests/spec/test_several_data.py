"""Several data sets in one study: how files write them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import Problem, SpecError
from assay.spec import Data, Study, fingerprint, parse_study, run_fingerprint, study_toml, without_data

HEAD = 'question = "q"\n[data]\n'
TAIL = """
validation = 0.2
[network]
layers = ["flatten", "dropout {rate}", "dense classes softmax"]
[factors]
rate = [0.0, 0.5]
"""


def parsed(data: str, tail: str = TAIL) -> Study:
    return parse_study(HEAD + data + tail, file="/studies/many.toml", name="many")


def test_a_list_of_names_is_a_list_of_data_sets() -> None:
    study = parsed('name = ["digits", { name = "mnist", validation = 5000 }, { path = "mine.npz", test = 0.2 }]')
    assert [arm.name for arm in study.expand()] == [
        f"data={data}, rate={rate}" for data in ("digits", "mnist", "mine") for rate in ("0", "0.5")
    ]
    digits, mnist, mine = study.data.members
    assert (digits.validation, mnist.validation) == (0.2, 5000)
    assert (mine.path, mine.test) == ("/studies/mine.npz", 0.2)
    assert parse_study(study_toml(study), file="/elsewhere/many.toml", name="many") == study


def test_data_may_be_a_factor() -> None:
    listed = parsed('name = ["digits", "mnist"]')
    assert parsed('name = "{data}"', TAIL.replace("[factors]", '[factors]\ndata = ["digits", "mnist"]')) == listed
    named = '[factors]\ncorpus = { digits = { name = "digits" }, own = { name = "own", path = "own.npz" } }'
    study = parsed('name = "{corpus}"', TAIL.replace("[factors]", named))
    assert [member.path for member in study.data.members] == [None, "/studies/own.npz"]


def test_a_run_is_the_same_as_that_of_a_study_on_one_data_set() -> None:
    several, one = parsed('name = ["digits", "mnist"]'), parsed('name = "digits"')
    first, alone = several.expand()[1], one.expand()[1]
    assert without_data(first.name, first.levels, several.name) == alone.name
    ids = [
        run_fingerprint(arm, data, content="0" * 64, seed=0, vary=("init",))
        for arm, data in ((first, several.data.members[0]), (alone, one.data))
    ]
    assert ids[0] == ids[1]
    assert several.on("digits").expand() == one.expand()


def test_stored_specs_of_one_data_set_stay_as_they_were() -> None:
    assert "sets" not in Data(name="mnist").model_dump()
    assert Data(name="mnist").identity() == {"validation": 0.1, "stratified": True, "scaling": "unit"}
    stored = parsed('name = "digits"').model_dump(mode="json", exclude_none=True)
    assert stored["data"] == {
        "name": "digits", "validation": 0.2, "stratified": True, "scaling": "unit", "as_published": False
    }  # fmt: skip
    assert len(fingerprint(stored)) == 64


def test_one_in_the_list_is_no_list() -> None:
    assert parsed('name = ["digits"]') == parsed('name = "digits"')


@pytest.mark.parametrize(
    ("data", "tail", "message"),
    [
        ('name = ["digits", "digits"]', TAIL, 'many.toml:3, data.name[1]: two data sets are called "digits"'),
        ('name = ["digits", 3]', TAIL, "many.toml:3, data.name[1]: got 3; give a name, or a table"),
        ('name = ["digits", { path = "a b.npz" }]', TAIL, 'data.name[1]: "a b" is no name for a data set'),
        ('name = ["digits", { name = "mnist", validaton = 3 }]', TAIL, "data.name[1]: this key is not known here"),
        ('name = "{dat}"', TAIL, 'many.toml:3, data.name: "{dat}" names no factor; known: rate.'),
        ('name = ["digits", "mnist"]', TAIL + '[seeds]\nstop = "decided"\n', "arms stop by themselves on one data set"),
        ('name = ["digits", "mnist"]', TAIL.replace("rate", "data"), "no name for another factor"),
        (
            'name = ["digits", { name = "mnist", validation = "5-fold" }]',
            TAIL,
            "some data sets have folds and others have not",
        ),
        ('name = ["digits"]\npath = ["a.npz"]', TAIL, "data sets are listed twice"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(data: str, tail: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parsed(data, tail)
    assert len(caught.value.problems) == 1, caught.value.problems
    assert message in str(caught.value.problems[0])


def test_a_level_that_is_no_data_set_is_named_where_it_stands() -> None:
    listed = '[factors]\ndata = [\n  "digits",\n  "mnits",\n]'

    def check(study: Study) -> None:
        raise SpecError(Problem('"mnits" is no known data set', "", "data.name[1]"))

    text = HEAD + 'name = "{data}"' + TAIL.replace("[factors]", listed)
    with pytest.raises(SpecError) as caught:
        parse_study(text, file="many.toml", name="many", check=check)
    (problem,) = caught.value.problems
    assert (problem.key, problem.line) == ("factors.data[1]", 1 + text.splitlines().index('  "mnits",'))


def test_a_claim_on_new_training_sets_needs_drawn_splits_on_all() -> None:
    with pytest.raises(SpecError, match="new training sets cannot be claimed"):
        parse_study(
            'claim = "new training sets"\n[data]\nname = ["digits", { name = "mnist", validation = { last = 100 } }]'
            + TAIL, file=str(Path("/studies/many.toml")), name="many",
        )  # fmt: skip


def test_other_measures_are_for_one_data_set() -> None:
    with pytest.raises(SpecError, match="several data sets go by accuracy"):
        parse_study('metric = "macro_f1"\n' + HEAD + 'name = ["digits", "mnist"]' + TAIL, file="m.toml", name="m")
