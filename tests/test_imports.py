"""Heavy libraries are imported where they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "numba", "sklearn", "pandas", "plotly", "scipy", "rich", "keras", "matplotlib", "captum"}


@pytest.mark.parametrize(
    "code",
    [
        "import assay\nfor name in assay.__all__:\n    if name != 'Classifier': getattr(assay, name)",
        "import sys; sys.argv = ['assay', '--help']\nfrom assay.cli import main\ntry: main()\nexcept SystemExit: pass",
    ],
    ids=["every public name", "assay --help"],
)
def test_no_heavy_library_is_loaded(code: str) -> None:
    report = "\nimport sys; print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    output = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True).stdout
    loaded = set(output.split("LOADED")[1].split())
    assert "assay" in loaded
    assert loaded & HEAVY == set()


def test_a_name_s_module_is_imported_when_the_name_is_used() -> None:
    code = "import sys, assay; print('numpy' in sys.modules); assay.Study; print('pydantic' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["False", "True"]


def test_the_function_run_is_not_hidden_by_a_package() -> None:
    code = "import assay, assay.runner.drive, assay.cli.run; print(callable(assay.run), callable(assay.load))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["True", "True"]
