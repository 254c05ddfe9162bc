"""What a search's file may say, and one sentence for each broken rule."""

from __future__ import annotations

from typing import Any

import pytest

from assay.errors import SpecError
from assay.spec import parse_study, study_toml
from assay.spec.search import Choice, levels_for

TEXT = """
[data]
name = "digits"
[network]
layers = ["conv {filters} 3x3 {activation}", "{extra}", { repeat = "{depth}", layers = ["conv 4 1x1"] }, "flatten",
          "dense classes softmax"]
[training]
epochs = 9
optimizer = { learning_rate = "{rate}" }
[search]
objective = "validation_accuracy"
halving = "hyperband"
constraints = ["parameters <= 6_000", "flops <= 2e6", "parameters <= 7,000"]
[search.space]
filters = { low = 2, high = 8, step = 2 }
activation = ["relu", "sigmoid"]
rate = { low = 1e-4, high = 1e-1, log = true }
depth = { low = 1, high = 3 }
extra = { none = [], some = ["dropout {share}"] }
share = { low = 0.0, high = 0.5, when = { extra = "some" } }
"""


def test_a_search_is_written_and_read_back_as_the_same() -> None:
    study = parse_study(TEXT, file="s.toml", name="s")
    assert parse_study(study_toml(study), file="s.toml", name="s") == study
    assert study.search is not None
    assert study.search.limits == {"parameters": 6000, "flops": 2e6}
    assert study.expand() == ()


def test_values_make_an_arm_with_layers_present_or_not_and_counts_of_blocks() -> None:
    study = parse_study(TEXT, file="s.toml", name="s")
    chosen: dict[str, Any] = {
        "filters": 4,
        "activation": "relu",
        "rate": 0.01,
        "depth": 2,
        "extra": "some",
        "share": 0.25,
    }
    arm = study.candidate("one", chosen)
    assert arm.layers[:2] == ("conv 4 3x3 relu", "dropout 0.25")
    assert arm.layers[2].repeat == 2  # type: ignore[union-attr]
    assert arm.training.optimizer.learning_rate == 0.01
    without = study.candidate("two", {**{k: v for k, v in chosen.items() if k != "share"}, "extra": "none"})
    assert len(without.layers) == len(arm.layers) - 1


def test_a_condition_may_stand_beside_named_levels() -> None:
    text = TEXT.replace('some = ["dropout {share}"] }', 'some = ["dropout {share}"], when = { activation = "relu" } }')
    study = parse_study(text, file="s.toml", name="s")
    assert study.search is not None
    extra = study.search.space["extra"]
    assert isinstance(extra, Choice)
    assert (list(extra.levels), extra.when) == (["none", "some"], {"activation": "relu"})
    assert parse_study(study_toml(study), file="s.toml", name="s") == study


def test_a_placeholder_that_is_not_there_is_the_files_fault() -> None:
    study = parse_study(TEXT, file="s.toml", name="s")
    assert study.search is not None
    with pytest.raises(SpecError, match='used where its "when" does not hold'):
        levels_for(study.search.space, {"extra": "some"})


BAD = {
    "empty space": ("[search.space]", "[search.spaces]", "search.space", "required and missing"),
    "no values": (
        'activation = ["relu", "sigmoid"]',
        "activation = []",
        "activation.choices",
        "nothing to choose from",
    ),
    "low above high": ("low = 2, high = 8", "low = 9, high = 8", "filters.low", "no value is left"),
    "log of zero": ("low = 1e-4", "low = 0.0", "rate.low", "log needs numbers above 0"),
    "log and step": ("log = true", "log = true, step = 0.1", "rate.step", "give one of them"),
    "condition below": (
        "high = 3 }",
        'high = 3, when = { extra = "some" } }',
        "depth.when.extra",
        "it is listed below",
    ),
    "condition never": ('extra = "some" }', 'extra = "any" }', "share.when.extra", "extra is never any"),
    "objective": ('"validation_accuracy"', '"test_accuracy"', "objective[0]", '"validation_accuracy"'),
    "cost first": (
        'objective = "validation_accuracy"',
        'objective = ["flops"]',
        "search.objective",
        "training decides",
    ),
    "cost": ("flops <= 2e6", "flop <= 2e6", "constraints", 'did you mean "flops"?'),
    "core": (
        "flops <= 2e6",
        "microseconds on cortex-m5 <= 200",
        "constraints",
        "known cores: cortex-m0+, cortex-m4, cortex-m7, rv32ec",
    ),
    "no core": ("flops <= 2e6", "microseconds <= 200", "constraints", 'as in "microseconds on cortex-m4 <= 5000"'),
    "unused": ('"{extra}", ', "", "search.space.extra", "no placeholder uses this parameter"),
    "unknown": ("conv {filters} 3x3", "conv {filter} 3x3", "search.space", 'did you mean "filters"?'),
    "no room": ("epochs = 9", "epochs = 2", "search.halving", "leave no room"),
    "several and halving": (
        '"validation_accuracy"',
        '["validation_accuracy", "flops"]',
        "search",
        "ranks candidates by",
    ),
    "generations": ('halving = "hyperband"', 'halving = "asha"\nsampler = "cma-es"', "search", "whole generations"),
    "seeds that are not fresh": (
        "[search]\n",
        "[seeds]\nstart = 3\n[search]\nseed = 5\n",
        "seeds.start",
        "seed 5 trains",
    ),
    "folds": ('name = "digits"', 'name = "digits"\nvalidation = "5-fold"', "data.validation", "trains on one split"),
    "epochs as a parameter": ("epochs = 9", 'epochs = "{depth}"', "training.epochs", "what halving gives out"),
}


@pytest.mark.parametrize("case", BAD)
def test_each_broken_rule_has_its_sentence(case: str) -> None:
    before, after, key, told = BAD[case]
    assert before in TEXT
    with pytest.raises(SpecError) as caught:
        parse_study(TEXT.replace(before, after), file="s.toml", name="s")
    problems = [problem for problem in caught.value.problems if key in problem.key and told in str(problem)]
    assert problems, str(caught.value)
    assert problems[0].line is not None
