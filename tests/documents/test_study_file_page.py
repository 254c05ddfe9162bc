"""The reference of study files names every key and every layer word, and nothing else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

from assay.nets.blocks import parse
from assay.nets.kinds import ActivationName, InitName
from assay.nets.layers import WORDS
from assay.nets.vocabulary import VOCABULARY
from assay.spec import Data, Study, Training
from assay.spec.arm import ArmTemplate
from assay.spec.augmentation import Augmentation
from assay.spec.base import Spec
from assay.spec.data import Groups, Reading
from assay.spec.files import parse_study
from assay.spec.metric import MEASURES, OF_CLASS, RECORDED
from assay.spec.network import Network, Parallel, Repeat, Residual
from assay.spec.quantization import Quantization
from assay.spec.recipes import Distillation, Swa
from assay.spec.schedule import DEFAULTS as SCHEDULES
from assay.spec.schedule import Schedule
from assay.spec.search import CORES, COSTS, Choice, Halving, Range, Search
from assay.spec.seeds import Seeds
from assay.spec.training import DEFAULTS as OPTIMIZERS
from assay.spec.training import Best, EarlyStopping, Evaluation, Optimizer
from assay.spec.transfer import Base

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "study-file.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

# The specs whose keys the tables of a section list.
SECTIONS: dict[str, tuple[type[Spec], ...]] = {
    "Top-level keys": (Study,),
    "`[data]`": (Data,),
    "`[data.groups]`": (Groups,),
    "`[data.read]`": (Reading,),
    "`[network]`": (Network,),
    "Blocks": (Residual, Parallel, Repeat),
    "Bases": (Base,),
    "`[[arms]]`": (ArmTemplate,),
    "`[training]`": (Training,),
    "Optimizers": (Optimizer,),
    "Schedules": (Schedule,),
    "Stopping and keeping": (EarlyStopping, Best),
    "Averaged weights": (Swa,),
    "Distillation": (Distillation,),
    "Augmentation": (Augmentation,),
    "Evaluation by several views": (Evaluation,),
    "Quantization": (Quantization,),
    "`[seeds]`": (Seeds,),
    "Search": (Search,),
    "`[search.halving]`": (Halving,),
    "`[search.space]`": (Range, Choice),
}
READ_BEFORE_FIELDS = {"module"}  # a file writes it, and the spec reads it as a layer
NOT_FOR_FILES = {(Base, "network")}
# What is read where a key may be left out.
READ_AS: Mapping[tuple[type[Spec], str], Callable[[Any], Any]] = {
    (Study, "claim"): lambda study: study.claimed,
    (Data, "read"): lambda data: data.reading,
}
# What a spec needs besides one key, to be made.
REQUIRED: Mapping[type[Spec], dict[str, Any]] = {
    Study: {"data": {"name": "digits"}, "network": {"layers": ["flatten", "dense classes softmax"]}},
    Data: {"name": "digits"},
    Groups: {"column": "patient"},
    Network: {"layers": ["flatten", "dense classes softmax"]},
    Residual: {"residual": ["relu"]},
    Parallel: {"parallel": [["relu"], []]},
    Repeat: {"repeat": 2, "layers": ["relu"]},
    Base: {"name": "vgg16"},
    ArmTemplate: {"name": "arm"},
    Best: {"best": "metric"},
    Distillation: {"teacher": "big"},
    Range: {"low": 1, "high": 2},
    Choice: {"choices": [1, 2]},
    Search: {"space": {"width": [1, 2]}},
}


def rows_of(section: str, first: str) -> list[dict[str, str]]:
    """The rows of all tables in a section whose first column has this heading, by the headings of their columns."""
    text = re.split(rf"^#+ {re.escape(section)}\n", PAGE, flags=re.MULTILINE)[1]
    text = re.split(r"^#+ ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)[0]
    rows = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        assert len({len(line) for line in lines}) == 1, lines[0]
        if lines[0][0] == first:
            rows += [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
    return rows


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def fields_of(specs: tuple[type[Spec], ...]) -> dict[str, list[type[Spec]]]:
    owners: dict[str, list[type[Spec]]] = {}
    for spec in specs:
        for name in spec.model_fields:
            if (spec, name) not in NOT_FOR_FILES:
                owners.setdefault(name, []).append(spec)
    return owners


KEYS = [
    (section, key, row)
    for section in SECTIONS
    for row in rows_of(section, "key")
    for key in codes(row["key"])
    if key not in READ_BEFORE_FIELDS
]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_listed_once_and_every_listed_key_exists(section):
    listed = [key for row in rows_of(section, "key") for key in codes(row["key"])]
    assert len(set(listed)) == len(listed)
    assert set(listed) - READ_BEFORE_FIELDS == set(fields_of(SECTIONS[section]))


def test_a_module_stands_in_place_of_layers():
    for section in ("`[network]`", "`[[arms]]`"):
        assert "module" in [key for row in rows_of(section, "key") for key in codes(row["key"])]
    network = Network.of({"module": "my_nets.py:ResNet9(width=16)"})
    assert network.layers == ('module "my_nets.py:ResNet9(width=16)"',)


@pytest.mark.parametrize(("section", "key", "row"), KEYS, ids=[f"{section}-{key}" for section, key, _ in KEYS])
def test_defaults_bounds_and_choices_are_those_of_the_program(section, key, row):
    for spec in fields_of(SECTIONS[section])[key]:
        field = spec.model_fields[key]
        if "default" in row:
            assert (row["default"] == "required") == field.is_required() or row["default"].startswith(
                "required without"
            )
            check_default(spec, key, row["default"])
        kind = row["type and bounds"].replace(",", "")
        for bound in field.metadata:
            for value in (getattr(bound, name, None) for name in ("ge", "gt", "le", "lt")):
                assert value is None or re.search(rf"(?<![\d.]){value}(?![\d.])", kind), value
        for choice in choices_of(field.annotation):
            is_elsewhere = "see " in kind or "names above" in kind
            assert is_elsewhere or re.search(rf"\b{re.escape(str(choice))}\b", kind), choice


def check_default(spec: type[Spec], key: str, cell: str) -> None:
    """Checks a default that is written as a value: giving it is giving nothing."""
    value = re.fullmatch(r"`([^`]*)`", cell)
    if value is None:
        return
    needed = REQUIRED.get(spec, {})
    given = spec.of({**needed, key: tomllib.loads(f"value = {value[1]}")["value"]})
    left, right = (READ_AS.get((spec, key), lambda one: getattr(one, key))(one) for one in (given, spec.of(needed)))
    assert left == right


def choices_of(annotation: Any) -> list[Any]:
    """The words of a Literal that a field may hold, at any depth."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [value for inner in get_args(annotation) for value in choices_of(inner)]


def settings_in(cell: str) -> dict[str, Any]:
    """`` `factor` 0.1, `every` required `` as a table; ``None`` for what is required."""
    pairs = re.findall(r'`(\w+)` ("[^"]*"|[\w.-]+)', re.sub(r'`("[^"]*")`', r"\1", cell))
    return {name: None if value == "required" else tomllib.loads(f"value = {value}")["value"] for name, value in pairs}


@pytest.mark.parametrize(("section", "defaults"), [("Optimizers", OPTIMIZERS), ("Schedules", SCHEDULES)])
def test_settings_of_optimizers_and_schedules(section, defaults):
    shown = {codes(row["name"])[0]: settings_in(row["settings and defaults"]) for row in rows_of(section, "name")}
    assert shown == defaults
    for row in rows_of(section, "key"):
        for key in codes(row["key"]):
            owners = {name for name, settings in defaults.items() if key in settings}
            expected = {"own"} if key == "own" else owners
            assert row["of"] == "all" or set(codes(row["of"])) == expected, key


def test_every_layer_word_is_listed_with_its_values():
    rows = {codes(row["word"])[0].split()[0]: row for row in rows_of("Layer words", "word")}
    assert set(rows) == set(WORDS)
    for word, entry in VOCABULARY.items():
        positions = codes(rows[word]["word"])[0].split()[1:]
        by_position = [value for value in entry.values if not value.is_option]
        assert [not text.startswith("[") for text in positions] == [value.is_required for value in by_position], word


def test_every_option_of_a_layer_is_listed_with_its_default():
    rows = {codes(row["option"])[0]: row for row in rows_of("Options of layers", "option")}
    options = {value.name for entry in VOCABULARY.values() for value in entry.values if value.is_option}
    assert set(rows) == options
    for name, row in rows.items():
        owners = [
            word for word, entry in VOCABULARY.items() if any(v.is_option and v.name == name for v in entry.values)
        ]
        assert codes(row["of"]) == owners, name
        for word in owners:
            kind = next(value.kind for value in VOCABULARY[word].values if value.name == name)
            assert set(kind.choices) <= set(codes(row["values"])), name
            default = re.fullmatch(r"`([^`]*)`", row["default"])
            if default is not None:
                assert kind.read(default[1]) == WORDS[word].__dataclass_fields__[name].default, name


@pytest.mark.parametrize("row", rows_of("Layer words", "word"), ids=lambda row: codes(row["word"])[0].split()[0])
def test_examples_of_layers_have_the_output_that_is_shown(row):
    (layer,) = parse([codes(row["example"])[0]])
    shape = (128,) if layer.word == "dense" else (28, 28, 8)
    output = layer.effect(shape, 10).shape
    assert " x ".join(map(str, output)) == row["output"]


def test_every_initial_kernel_activation_and_measure_is_named():
    assert {codes(row["`init=`"])[0] for row in rows_of("Initial kernels", "`init=`")} == set(get_args(InitName))
    shown = {name for row in rows_of("Activations", "activation") for name in codes(row["activation"])}
    assert shown == set(get_args(ActivationName))
    for name in (*MEASURES, *(f"{kind}:CLASS" for kind in OF_CLASS), *RECORDED, *COSTS, *CORES):
        assert re.search(rf'`"?{re.escape(name)}"?`', PAGE), name


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_parts_of_study_files(example):
    values = tomllib.loads(example)
    if "data" not in values:
        example += '\n[data]\nname = "digits"\n'
    if "network" not in values and "arms" not in values:
        example += '\n[network]\nlayers = ["flatten", "dense classes softmax"]\n'
    assert parse_study(example, file="example.toml", name="example").name == "example"
