"""The examples in the documentation of data are sound."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from assay.data.make import FORMS
from assay.data.variations import VARIATIONS
from assay.spec import Data
from assay.spec.data import Reading

TEXT = (Path(__file__).parents[2] / "docs" / "guides" / "data.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_data(example):
    data = Data.of(tomllib.loads(example)["data"])
    assert data.name or data.path or data.sets


def test_every_setting_form_and_variation_is_told():
    for word in (*Reading.model_fields, *VARIATIONS):
        assert f"`{word}`" in TEXT, word
    for word in FORMS:
        assert re.search(rf"\b{word}\b", TEXT), word
