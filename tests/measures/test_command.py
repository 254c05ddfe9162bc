"""A study by a metric of one's own, and looks at it by others, as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import assay
from assay.analysis import arm_scores
from assay.cli import main
from assay.errors import SpecError
from assay.spec import read_study

STUDY = """
metric = "costs.py:cost(missed=5)"
[data]
name = "digits"
validation = 0.2
[network]
layers = ["flatten", "dense {units} relu", "dense classes softmax"]
[factors]
units = [2, 32]
[training]
epochs = 2
batch_size = 64
[seeds]
count = 6
"""
COSTS = """
class cost:
    higher_is_better = False

    def __init__(self, missed):
        self.missed = missed

    def __call__(self, probabilities, labels):
        return self.missed * (probabilities.argmax(1) != labels).mean()
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        output, errors = capsys.readouterr()
        return int(ended.value.code or 0), output, errors

    return call


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "costs.py").write_text(COSTS)
    (tmp_path / "digits-cost.toml").write_text(STUDY)
    assay.run(tmp_path / "digits-cost.toml", store=tmp_path / "store")
    return tmp_path / "store"


def test_a_study_by_a_measure_of_ones_own_and_looks_by_others(store: Path, run: Run, tmp_path: Path) -> None:
    code, output, _ = run("compare", "--store", store)
    assert code == 0
    assert output.startswith("Validation cost(missed=5), lower is better, paired by seed.")
    words = " ".join(output.split())
    assert "units=32 is better than units=2: cost(missed=5) is" in words
    assert "lower (95 % interval" in words
    assert "cost(missed=5)" in run("status", "digits-cost", "--store", store)[1]
    assert "cost(missed=5)" in assay.result("digits-cost", store=store).report(explanations=()).read_text()
    result = assay.result("digits-cost", store=store)
    accuracies = {(run.arm, run.seed): run.kept.validation_accuracy for run in result.runs if run.kept}
    for arm in arm_scores(result.record):
        assert arm.scores == pytest.approx([5 * (1 - accuracies[arm.arm, seed]) for seed in arm.seeds])

    frame = result.frame()
    assert list(frame[frame.columns[-2]]) == pytest.approx([5 * (1 - share) for share in frame["validation_accuracy"]])
    assert str(frame.columns[-2]).startswith("validation_costs.py:cost(missed=5)")
    assert json.loads(run("status", "digits-cost", "--store", store, "--json")[1])[0]["metric"] == (
        frame.columns[-2].removeprefix("validation_")
    )
    for metric in ("macro_auc", "log_loss", "recall:3", tmp_path / "costs.py:cost(missed=2)"):
        code, output, errors = run("compare", "--store", store, "--metric", metric)
        assert (code, errors) == (0, "")
        assert "Exploratory: the study goes by cost(missed=5)" in " ".join(output.split())
    values = json.loads(run("compare", "--store", store, "--metric", "log_loss", "--json")[1])
    assert (values["metric"], values["unit"], values["higher_is_better"]) == ("log_loss", "nats", False)

    num_images = result.record.data["num_training"]
    table = tmp_path / "hands.csv"
    table.write_text("id,hand\n" + "".join(f"{i},{'left' if i % 3 else 'right'}\n" for i in range(num_images)))
    code, output, errors = run(
        "compare", "--store", store, "--metric", "worst_group_accuracy", "--groups", f"{table}:hand"
    )
    assert (code, errors) == (0, "")
    assert "worst group accuracy" in output
    for groups, message in (
        (f"{table}:hnad", 'there is no column "hnad"; did you mean "hand"?'),
        (table, "the table has 2 columns; name one, such as"),
        (tmp_path / "none.csv", "cannot be read (No such file or directory)"),
    ):
        code, _, errors = run("compare", "--store", store, "--metric", "worst_group_accuracy", "--groups", groups)
        assert code == 2
        assert message in " ".join(errors.split())
        assert len(errors.strip().splitlines()) == 1
    code, _, errors = run("compare", "--store", store, "--metric", "macro_auk")
    assert (code, errors) == (2, 'error: --metric: there is no measure "macro_auk"; did you mean "macro_auc"?\n')
    assert not any("costs.py" in str(path) for path in store.rglob("*"))


def test_code_of_a_metric_that_fails_is_named_before_anything_trains(tmp_path: Path, run: Run) -> None:
    study = tmp_path / "digits-cost.toml"
    study.write_text(STUDY)
    for code, message in (
        (None, "costs.py"),
        ("def cots(missed): pass\n", "cost"),
        ("def cost(missed):\n    return lambda p, y: float('nan')\n", "is nan on 288 images; return a finite number"),
    ):
        if code is not None:
            (tmp_path / "costs.py").write_text(code)
        ended, _, errors = run("run", study, "--store", tmp_path / "store")
        assert ended == 2
        assert message in errors
    assert not (tmp_path / "store" / "runs").exists()


def test_training_by_a_function_of_ones_own_is_refused_with_its_place(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text(STUDY.replace("[seeds]", "early_stopping = { patience = 2 }\n[seeds]"))
    with pytest.raises(SpecError, match=r"early_stopping\.metric: training cannot go by a function of your own"):
        read_study(study)
    study.write_text(STUDY.replace('"costs.py:cost(missed=5)"', '"balanced_acuracy"'))
    with pytest.raises(SpecError, match=r'study\.toml:2, metric: there is no measure "balanced_acuracy"; did you mean'):
        read_study(study)
