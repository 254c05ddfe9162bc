"""Natural mistakes on the command line and in study files: each names what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from assay.cli import main
from assay.cli.main import COMMANDS, commands
from assay.cli.mistakes import OPTIONS, SYNONYMS
from assay.errors import SpecError
from assay.spec import parse_study

STUDY = """
[data]
name = "digits"
[network]
layers = ["flatten", "dense classes softmax"]
"""


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert ended.value.code == 2
        return capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    ("word", "command"), [("train", "run"), ("Fit", "run"), ("dashboard", "serve"), ("new", "init")]
)
def test_what_others_call_a_command_is_known(refused: Callable[..., str], word: str, command: str) -> None:
    assert f'there is no command "{word}"; did you mean "{command}"? {COMMANDS[command]}' in refused(word, "x.toml")


def test_no_synonym_hides_a_command() -> None:
    assert not SYNONYMS.keys() & COMMANDS.keys()
    assert set(SYNONYMS.values()) <= COMMANDS.keys()


def test_a_mistyped_command_and_a_file_in_its_place(refused: Callable[..., str]) -> None:
    assert 'there is no command "comapre"; did you mean "compare"?' in refused("comapre")
    assert 'there is no command "x.toml"; to run a study file, write assay run x.toml.' in refused("x.toml")


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("--epochs", "epochs = 10 under [training]"),
        ("--batch-size", "batch_size = 128 under [training]"),
        ("--lr", "learning_rate = 1e-3"),
        ("--dropout", "dropout = [0.0, 0.5] under [factors]"),
    ],
)
def test_a_setting_given_as_an_option_is_named_as_the_key(refused: Callable[..., str], option: str, key: str) -> None:
    message = refused("run", "first-look", option, "3")
    assert option in message
    assert f"{option} is no option but a setting of the study: write " in message
    assert "Did you mean" not in message
    assert key in message


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("report", "x", "--format", "pdf"), "write --pdf, --notebook, --markdown or --latex"),
        (("compare", "x", "--csv"), "write --json; assay runs STUDY --csv prints every run"),
        (("run", "x", "-j", "2"), "-j is no option of assay run; write --workers 2."),
        (("reveal", "x", "-y"), "write --yes."),
    ],
)
def test_an_option_of_other_tools_is_named_as_the_command_has_it(
    refused: Callable[..., str], arguments: tuple[str, ...], told: str
) -> None:
    assert told in refused(*arguments)


def test_what_is_written_instead_exists_and_what_is_refused_does_not() -> None:
    for (name, mistaken), instead in OPTIONS.items():
        command = commands.get_command(click.Context(commands), name)
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert not {f"-{mistaken}", f"--{mistaken}"} & options
        named = re.findall(r"--[a-z-]+", instead.partition("; assay runs")[0])
        assert set(named) <= options


def test_an_option_that_nobody_knows_gets_no_advice(refused: Callable[..., str]) -> None:
    assert "setting of the study" not in refused("run", "first-look", "--frobnicate", "3")
    assert "setting of the study" not in refused("compare", "first-look", "--epochs", "3")


@pytest.mark.parametrize(
    ("name", "what", "fix"),
    [
        ("x.ipynb", "this is a notebook, not a study file", "assay convert --run x.ipynb"),
        ("x.ipynb", "this is a notebook", "assay.capture() before its first model"),
        ("x.py", "this is a script", "assay convert --run x.py"),
        ("x.keras", "this is a model", "assay convert x.keras -o x.toml"),
        ("x.csv", "this is a table", "assay judge x.csv"),
    ],
)
def test_a_file_of_another_kind_names_the_command_that_takes_it(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str, fix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("{}")
    message = refused("run", name)
    assert what in message
    assert fix in message


@pytest.mark.parametrize(
    ("line", "word", "fix"),
    [
        ("optimizer = adam", "adam", 'write "adam"'),
        ("optimizer = { name = adam, learning_rate = 1e-3 }", "adam", 'write "adam"'),
        ("metric = balanced accuracy", "balanced accuracy", 'write "balanced accuracy"'),
        ("dropout = [none, 0.5]", "none", 'write "none"'),
        ('kernel = ["3x3", five]', "five", 'write "five"'),
        ("restart = True", "True", "write true"),
        ("    relu, gelu,", "relu", 'write "relu"'),
    ],
)
def test_an_unquoted_word_is_named_with_its_line(line: str, word: str, fix: str) -> None:
    opened = "x = [\n" if "=" not in line else ""
    text = f"[training]\nepochs = 3\n{opened}{line}\n"
    with pytest.raises(SpecError) as caught:
        parse_study(text, file="s.toml", name="s")
    (problem,) = caught.value.problems
    assert f"{word} stands without quotes" in problem.what
    assert problem.fix == fix
    assert problem.line == 3 + bool(opened)


@pytest.mark.parametrize("line", ["[training", "epochs = 3 4", "epochs 3", 'name = "open', "x = 1979-13-13", "= 3"])
def test_what_is_no_word_is_reported_as_before(line: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_study(f"{line}\n", file="s.toml", name="s")
    assert "stands without quotes" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (STUDY + "[factors]\nrate = []\n", "factors.rate"),
        (STUDY.replace('["flatten", "dense classes softmax"]', "[]"), "network.layers"),
        ("arms = []\n" + STUDY, ""),
        (STUDY.replace('"digits"', "[]"), "data.name"),
    ],
)
def test_an_empty_list_says_what_belongs_there(text: str, key: str) -> None:
    try:
        parse_study(text, file="s.toml", name="s")
    except SpecError as error:
        (problem,) = error.problems
        assert problem.key == key
        assert "empty" in problem.what
        assert problem.fix
    else:
        assert key == ""  # an empty list of arms is none
