"""``[training.quantization]``: what it may say, and that runs without it are the runs that they were."""

from __future__ import annotations

import pytest

from assay.errors import SpecError
from assay.nets import summary_of
from assay.spec import Arm, Quantization, Study, Training, json_schema, parse_study

LAYERS = ["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]
STUDY = """
question = "Which bits?"
[data]
name = "digits"
{data}
[network]
layers = ["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]
[factors]
bits = [8, 4, 2, "ternary"]
[training.quantization]
weights = "{{bits}}"
activations = 4
"""


def test_bits_are_a_factor():
    study = parse_study(STUDY.format(data=""), file="bits.toml", name="bits")
    arms = study.expand()
    assert [arm.training.quantization.weights for arm in arms] == [8, 4, 2, "ternary"]
    assert {arm.training.quantization.activations for arm in arms} == {4}


def test_a_level_may_be_the_whole_table_or_none():
    formats = {"float": "none", "small": {"weights": 2, "layers": {"conv1": 8}}}
    study = Study(
        name="formats",
        question="?",
        data={"name": "digits"},
        network={"layers": LAYERS},
        training={"quantization": "{q}"},
        factors={"q": formats},
    )
    plain, small = (arm.training for arm in study.expand())
    assert plain.quantization is None
    assert (small.quantization.bits_of("conv1"), small.quantization.bits_of("dense1")) == (8, 2)


def test_editors_know_it():
    jsonschema = pytest.importorskip("jsonschema")
    schema = {**json_schema(), "$ref": "#/$defs/Training"}
    validator = jsonschema.Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/Training"})
    for fine in ({"weights": 2, "layers": {"conv1": 8}}, {"weights": "{bits}"}, "none", "{format}"):
        assert validator.is_valid({"quantization": fine}), fine
    for wrong in ({"weights": 3}, {"bits": 4}, 8):
        assert not validator.is_valid({"quantization": wrong}), wrong


def test_runs_without_it_keep_their_identity():
    assert "quantization" not in Training().identity()
    assert "quantization" not in Training().model_dump()
    assert Training(quantization="none") == Training()
    assert Training(quantization=Quantization(weights=4)).identity() != Training().identity()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": 3}, r'quantization\.weights: got 3; give 8, 4, 2 or "ternary"'),
        ({"weights": True}, r"quantization\.weights: got True"),
        ({"activations": 2}, r"quantization\.activations: got 2; give 8 or 4"),
        ({"layers": {"conv1": 5}}, r'quantization\.layers\.conv1: got 5; give 8, 4, 2 or "ternary"'),
        ({"layers": 8}, r"quantization\.layers: got 8; give a table such as"),
        ({"bits": 8}, r"quantization\.bits: this key is not known here; write weights = 4"),
        (8, r'quantization: got 8; give a table such as .* or "none"'),
    ],
)
def test_what_is_no_format_is_said(given, message):
    with pytest.raises(SpecError, match=message):
        Training.of({"quantization": given})


def test_images_are_not_rounded_anew():
    with pytest.raises(SpecError, match=r'data\.scaling: scaling = "standard" subtracts a mean'):
        parse_study(STUDY.format(data='scaling = "standard"'), file="bits.toml", name="bits").expand()


@pytest.mark.parametrize(
    ("layers", "given", "message"),
    [
        (LAYERS, {"layers": {"conv2": 4}}, r"layers\.conv2: bits are given for conv2, and there is no layer .*conv1"),
        (LAYERS, {"layers": {"maxpool1": 4}}, r"maxpool1, which has no kernel: its values have those of activations"),
        (
            ["conv 4 3x3", "layernorm", *LAYERS[2:]],
            {},
            r"cannot be trained in whole numbers: layernorm1 .*docs/guides/microcontrollers.md",
        ),
    ],
)
def test_what_a_layer_cannot_have_is_said(layers, given, message):
    arm = Arm(name="a", layers=layers, training=Training(quantization=Quantization(**given)))
    with pytest.raises(SpecError, match=message):
        summary_of(arm, (8, 8, 1), 10)
