"""The command line as a user meets it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from sklearn.metrics import balanced_accuracy_score

import assay
from assay import shipped
from assay.cli import main
from assay.cli.main import COMMANDS
from assay.store import open_reader

from ..helpers import small_study

STUDY = """
question = "Does dropout help?"
[data]
name = "digits"
validation = 0.2
[network]
layers = ["conv 4 3x3 relu", "maxpool 2", "dropout {rate}", "flatten", "dense classes softmax"]
[factors]
rate = [0.0, 0.3]
[training]
epochs = 2
batch_size = 64
[seeds]
count = 2
"""


BLOCKS = """
[data]
name = "digits"
[network]
layers = [
  "conv 8 3x3 leakyrelu padding=same bias=false l1=0.0001 l2=0.0001",
  { residual = ["conv 16 3x3 padding=same stride=2"], shortcut = ["conv 16 1x1 stride=2"], activation = "relu" },
  { parallel = [["depthwise 3x3 padding=same multiplier=2", "conv 8 1x1"], []] },
  "globalavgpool", "dense classes softmax"]
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Runs the command line in this process: (exit code, output, errors)."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        output, errors = capsys.readouterr()
        return int(ended.value.code or 0), output, errors

    return call


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(STUDY)
    return path


@pytest.mark.usefixtures("worker_processes")
def test_a_study_from_file_to_report(run, study: Path, tmp_path: Path) -> None:
    code, output, errors = run("run", study)
    assert code == 0
    assert "4 runs: 4 finished" in output
    assert "rate=0.3: not enough seeds for a verdict: 2 pairs, 6 are needed." in output
    assert "[4/4]" in errors
    report = tmp_path / "assay-store" / "reports" / "small.html"
    assert report.as_uri() in output
    assert "Does dropout help?" in report.read_text()

    code, output, errors = run("run", study)
    assert code == 0
    assert "4 done before, 0 to do" in errors

    code, output, errors = run("run", study, "--seeds", 3, "--json", "--no-report")
    events = [json.loads(line) for line in errors.splitlines()]
    assert code == 0
    assert events[0] == {"event": "Begin", "study": "small", "runs": 6, "done": 4}
    assert sum(event["event"] == "Finished" for event in events) == 2
    assert not any("hits" in event for event in events)  # bits of every validation image are for the store
    ended = json.loads(output)
    assert (ended["states"], ended["report"]) == ({"finished": 6}, None)
    assert [arm["n"] for arm in ended["arms"]] == [3, 3]

    code, output, _ = run("runs", "--json")
    runs = json.loads(output)
    assert code == 0
    assert [(r["arm"], r["seed"]) for r in runs] == [(a, s) for a in ("rate=0", "rate=0.3") for s in range(3)]
    assert all(r["test_accuracy"] is None for r in runs)

    code, output, _ = run("runs", "small", "--arm", "rate=0.3", "--state", "finished")
    assert output.count("rate=0.3") == 3

    code, output, _ = run("status", "--json")
    status = json.loads(output)[0]
    assert status["states"] == {"finished": 6}
    assert [arm["n"] for arm in status["arms"]] == [3, 3]
    assert status["looks"] == 0

    code, output, errors = run("reveal", "small", "--yes")
    assert code == 0
    assert "Looks at the test split so far: 1" in output
    assert errors.count("on the test split") == 6
    code, output, errors = run("reveal", "small")
    assert (code, "Looks at the test split so far: 1" in output, errors) == (0, True, "")
    code, output, _ = run("reveal", "small", "--json")
    revealed = json.loads(output)
    assert revealed["looks"] == 1
    assert len(revealed["scores"]) == 6
    assert all(0 < score["accuracy"] < 1 for score in revealed["scores"])

    code, output, _ = run("report", "-o", tmp_path / "r.html")
    assert code == 0
    assert (tmp_path / "r.html").stat().st_size > 1_000_000

    code, output, _ = run("cite", "small")
    assert code == 0
    assert output.startswith("@")
    assert "srivastava2014dropout" in output
    code, told, _ = run("cite", "--json")
    assert [output.count(f"{{{entry['key']},") for entry in json.loads(told)] == [1] * output.count("\n@") + [1]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"maxpool 2"', '"MaxPooling2D((2, 2))"', 'MaxPooling2D((2, 2)) is a call of Keras; write "maxpool 2"'),
        ('"maxpool 2"', '"MaxPooling2D"', ", maxpool 2 is Keras's default"),
        ("epochs = 2", "epochs = 0", "training.epochs: got 0; give 1 or more."),
        ("epochs = 2", "lr = 0.1", 'training.lr: this key is not known here; it is the optimizer\'s: write'),
        ("epochs = 2", "learning_rate = 0.1", 'write optimizer = { name = "adam", learning_rate = ... }'),
        ("epochs = 2", 'optimizer = "Adam"', 'training.optimizer.name: got \'Adam\'; did you mean "adam"?'),
        ("epochs = 2", 'optimizer = { name = "sgd", lr = 0.1 }', "not known here; write learning_rate = 0.001"),
        ("epochs = 2", 'keep = { best = "val_accuracy" }', 'got \'val_accuracy\'; did you mean "validation_accuracy"?'),
    ],
)  # fmt: skip
def test_spellings_of_keras_are_met_with_ours(run, study: Path, old: str, new: str, told: str) -> None:
    study.write_text(STUDY.replace(old, new))
    code, _, errors = run("describe", study)
    assert code == 2
    assert told in errors
    assert len(errors.splitlines()) == 1


def test_a_folder_is_told_from_a_study_file(run, study: Path) -> None:
    code, _, errors = run("run", study.parent)
    assert (code, errors) == (2, f"error: {study.parent}: this is a folder; name a study file, such as {study}.\n")


def test_describe_says_what_keeps_a_run_off_the_kernels(run, study: Path) -> None:
    assert "Fused path" in run("describe", study)[1]
    study.write_text(STUDY.replace('"flatten"', '"conv 3 2x2", "flatten", "layernorm"'))
    reason = "Plain path: layernorm1 follows flatten and 3 channels, an odd number."
    assert reason in " ".join(run("describe", study)[1].split())


def test_describe_looks_a_base_up_in_the_store_that_is_named(run, study: Path, tmp_path: Path) -> None:
    store = tmp_path / "elsewhere"
    layers = ["conv 4 3x3 relu", "flatten", "dense classes softmax"]
    told = {"network": {"layers": layers}, "factors": {}, "seeds": {"count": 1}, "training": {"epochs": 1}}
    assay.run(small_study(name="first", **told), store=store)
    study.write_text(
        'question = "Which head?"\n[data]\nname = "digits"\nvalidation = 0.2\n[network]\n'
        'base = { weights = "run:first" }\nlayers = ["flatten", "dense classes softmax"]\n[training]\nepochs = 1\n'
    )
    code, output, errors = run("describe", study, "--store", store)
    assert (code, errors) == (0, "")
    assert "Base: run " in output
    code, _, errors = run("describe", study)
    assert code == 2
    assert "train it first, or name the store that holds it" in errors
    assert len(errors.splitlines()) == 1


def test_a_chosen_arm_is_retrained_and_scored_alone(run, study: Path) -> None:
    lines = 'epochs = 4\nkeep = { best = "validation_loss" }\nearly_stopping = { patience = 1 }'
    study.write_text(STUDY.replace("epochs = 2", lines).replace("0.2", '"last 20%"'))
    assert run("run", study, "--no-report")[0] == 0
    code, output, errors = run("reveal", "small", "--retrain", "rate=0.3")
    assert (code, output, len(errors.splitlines())) == (2, "", 1)
    assert "this would score rate=0.3, trained anew with 2 seeds, on the sealed test split" in errors
    code, output, _ = run("reveal", "small", "--retrain", "rate=0.3", "--yes")
    assert code == 0
    assert "On test: rate=0.3, trained on training and validation images, scores " in output
    assert ", n = 2." in output
    assert "On test: rate=0.3, trained on training and validation images" in run("status", "small")[1]
    assert "Looks at the test split so far: 1" in output
    retrained = json.loads(run("runs", "--retrained", "--json")[1])
    assert [(r["arm"], r["seed"], r["epochs"][0]["validation_loss"]) for r in retrained] == [
        ("rate=0.3", 0, None), ("rate=0.3", 1, None),
    ]  # fmt: skip
    code, output, _ = run("reveal", "small", "--retrain", "rate=0.3")  # shown again: no look
    assert code == 0
    assert "On test: rate=0.3, trained on training and validation images, scores " in output
    assert "Looks at the test split so far: 1" in output
    runs = json.loads(run("runs", "--json")[1])
    assert all(r["test_accuracy"] is None and r["kept_epoch"] <= len(r["epochs"]) for r in runs)
    code, _, errors = run("reveal", "small", "--retrain", "rate=3")
    assert code == 2
    assert 'did you mean "rate=0.3"?' in errors


def test_describe_counts_as_keras_does(run) -> None:
    code, output, _ = run("describe", "mnist-dropout", "--json")
    tables = json.loads(output)
    assert code == 0
    assert set(tables) == {"dropout=0", "dropout=0.5"}
    table = tables["dropout=0.5"]
    assert (table["parameters"], table["trainable"], table["non_trainable"]) == (184_458, 184_266, 192)
    assert [row["parameters"] for row in table["rows"]] == [320, 128, 0, 0, 51264, 256, 0, 0, 0, 131200, 1290]
    code, output, _ = run("describe", "mnist-dropout", "--arm", "dropout=0")
    assert "184,458 parameters: 184,266 trainable, 192 not." in output


def test_describe_tells_what_c_export_would_make(run, study: Path) -> None:
    code, output, _ = run("describe", "record-700", "--core", "cortex-m0+")
    assert code == 0
    # 646 weights, 45 biases and 80 factors of two bytes each, and 256 of elu's table
    assert "As C: 1,152 bytes, 4,900 bytes of RAM, 74,748 multiply-adds an image." in output
    assert "Arm Cortex-M0+ at 48 MHz: about" in output
    assert max(map(len, output.split("As C")[1].splitlines()[:3])) <= 100
    table = json.loads(run("describe", "record-700", "--json")[1])["record-700"]
    assert table["program"]["bytes"] == 1152
    assert list(table["program"]["microseconds"]) == ["cortex-m0+", "cortex-m4", "cortex-m7", "rv32ec"]
    code, _, errors = run("describe", "record-700", "--core", "esp32")
    assert code == 2
    assert 'there is no core "esp32"; known cores: cortex-m0+, cortex-m4, cortex-m7, rv32ec' in " ".join(errors.split())


def test_describe_shows_blocks_in_100_columns(run, tmp_path: Path) -> None:
    path = tmp_path / "blocks.toml"
    path.write_text(BLOCKS)
    code, output, _ = run("describe", path)
    assert code == 0
    assert max(map(len, output.splitlines())) <= 100
    indents = {line.split()[0]: len(line) - len(line.lstrip()) - 1 for line in output.splitlines() if line.split()}
    assert [indents[name] for name in ("conv1", "residual1", "conv2", "shortcut", "conv3", "add1")] == [
        0,
        0,
        2,
        2,
        4,
        2,
    ]
    assert list(indents).index("add1") < list(indents).index("parallel1") < list(indents).index("depthwise1")
    rows = {row["name"]: row for row in json.loads(run("describe", path, "--json")[1])["blocks"]["rows"]}
    assert rows["add1"]["inputs"] == ["conv2", "conv3"]
    assert rows["conv3"]["path"] == ["residual1", "shortcut"]
    assert (rows["conv2"]["receptive_field"], rows["conv2"]["receptive_stride"]) == ([5, 5], [2, 2])
    assert rows["concatenate1"]["activation_bytes"] == 4 * 4 * 4 * (8 + 16)
    assert rows["dense1"]["receptive_stride"] is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"flatten"', '"flaten"', ["small.toml:7", 'did you mean "flatten"?']),
        ("epochs = 2", "epoch = 2", ["small.toml:11, training.epoch", 'did you mean "epochs"?']),
        ("rate = [0.0, 0.3]", "rat = [0.0, 0.3]", ['did you mean "rat"?', "factors.rat: no placeholder uses"]),
        ("conv 4 3x3", "conv 4 9x9", ["small.toml:7", "9x9", "8 x 8"]),
        ("dense classes softmax", "dense 9 softmax", ["small.toml:7", "10"]),
        ('"digits"', '"digit"', ["small.toml:4, data.name", 'did you mean "digits"?']),
        ("[seeds]", "[seeds", ["small.toml:13", "not valid TOML"]),
    ],
)
def test_bad_studies_get_a_sentence_and_exit_code_2(run, study: Path, old: str, new: str, told: list[str]) -> None:
    study.write_text(STUDY.replace(old, new))
    code, output, errors = run("run", study)
    assert code == 2
    assert output == ""
    for words in told:
        assert words in errors
    assert "Traceback" not in errors
    assert not Path(os.environ["ASSAY_STORE"]).exists()


def test_problems_of_every_kind_are_told_at_once(run, study: Path) -> None:
    wrong = STUDY.replace("epochs = 2", "epochs = 0").replace('"flatten"', '"flaten"').replace("0.2", "2.0")
    study.write_text(wrong.replace("maxpool 2", "maxpool 40"))
    code, _, errors = run("run", study)
    assert code == 2
    lines = errors.splitlines()
    for words in ("validation", "epochs", "flaten", "maxpool 40"):
        assert any(words in line for line in lines), errors


def test_missing_data_says_which_files_and_how(
    run, study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    study.write_text(STUDY.replace('"digits"', '"mnist"'))
    code, _, errors = run("run", study)
    assert code == 2
    assert "train-images-idx3-ubyte.gz" in errors
    assert "assay data fetch mnist" in errors


@pytest.mark.parametrize("damage", ["truncated", "corrupt"])
def test_damaged_data_is_named(
    run, study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, real_data: Path, damage: str
) -> None:
    shutil.copytree(real_data / "mnist", tmp_path / "data" / "mnist")
    target = tmp_path / "data" / "mnist" / "train-labels-idx1-ubyte.gz"
    content = bytearray(target.read_bytes())
    if damage == "corrupt":
        content[len(content) // 2] ^= 0xFF
    target.write_bytes(content[: len(content) // 2] if damage == "truncated" else content)
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    study.write_text(STUDY.replace('"digits"', '"mnist"'))
    code, _, errors = run("run", study)
    assert code == 2
    assert "train-labels-idx1-ubyte.gz" in errors
    assert len(errors.splitlines()) == 1


def test_a_diverged_run_is_recorded_and_the_study_goes_on(run, study: Path) -> None:
    study.write_text(
        STUDY.replace("rate = [0.0, 0.3]", "rate = [0.0]\nlr = [0.01, 1e30]")
        .replace("batch_size = 64", 'batch_size = 64\noptimizer = { name = "sgd", learning_rate = "{lr}" }')
        .replace('"flatten", ', '"flatten", "dense 16 relu", "dense 16 relu", ')
    )
    code, output, errors = run("run", study)
    assert code == 1
    assert "2 diverged" in output
    assert "2 finished" in output
    assert "lower the learning rate" in errors
    report = (Path(os.environ["ASSAY_STORE"]) / "reports" / "small.html").read_text()
    assert "lower the learning rate" in report


def test_two_writers_on_one_store(run, study: Path) -> None:
    from assay.store import open_writer

    with open_writer(Path(os.environ["ASSAY_STORE"])):
        code, _, errors = run("run", study)
    assert code == 2
    assert f"process {os.getpid()}" in errors
    assert "is writing to this store" in errors


def test_a_store_from_the_future(run, study: Path) -> None:
    store = Path(os.environ["ASSAY_STORE"])
    store.mkdir()
    with contextlib.closing(sqlite3.connect(store / "store.sqlite")) as connection, connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    code, _, errors = run("run", study)
    assert code == 2
    assert "upgrade Assay" in errors


def test_revealing_needs_finished_runs(run, study: Path) -> None:
    code, _, errors = run("reveal", "small")
    assert code == 2
    assert "there is no store here" in errors


class Terminal(io.StringIO):
    """A terminal at which so many lines are typed."""

    def isatty(self) -> bool:
        return True


def test_revealing_names_its_study_and_asks(run, study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def looks() -> int:
        return json.loads(run("status", "--json")[1])[0]["looks"]

    run("run", study, "--no-report", "--seeds", 1)
    code, output, errors = run("reveal")
    assert (code, output, errors) == (2, "", "error: no study is named; the store holds small: name one.\n")
    assert run("reveal", "--yes")[0] == 2
    code, output, errors = run("reveal", "small")
    assert (code, output, len(errors.splitlines())) == (2, "", 1)
    assert "add --yes" in errors
    assert run("reveal", "small", "--json")[0] == 2
    monkeypatch.setattr("sys.stdin", Terminal("n\n\n"))
    for _ in range(2):  # no, and what nothing but Enter says
        code, output, errors = run("reveal", "small")
        assert (code, output) == (130, "")
        assert 'This scores 2 finished runs on the sealed test split of "small"' in errors
    assert looks() == 0
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    code, output, errors = run("reveal", "small")
    assert (code, "Looks at the test split so far: 1" in output) == (0, True)
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert run("reveal", "small")[0] == 0  # nothing is asked where nothing is opened
    assert looks() == 1


def test_new_runs_are_another_look(run, study: Path) -> None:
    run("run", study, "--no-report", "--seeds", 1)
    assert run("reveal", "small", "--yes")[0] == 0
    run("run", study, "--no-report", "--seeds", 2)
    assert run("reveal", "small")[0] == 2
    code, output, errors = run("reveal", "small", "--yes")
    assert (code, errors.count("on the test split")) == (0, 2)
    assert "Looks at the test split so far: 2" in output


def test_revealed_scores_are_those_of_the_study_s_metric(run, study: Path, tmp_path: Path) -> None:
    study.write_text('metric = "balanced_accuracy"\n' + study.read_text())
    run("run", study, "--no-report", "--seeds", 1)
    code, _, errors = run("reveal", "small", "--yes")
    shown = re.findall(r"(rate=\S+), seed 0: balanced accuracy (\S+) % on the test split", errors)
    with open_reader(tmp_path / "assay-store") as reader:
        arms = {one.id: one.arm for one in reader.study("small").runs}
        kept = {arms[name]: one.arrays() for name, _, one in reader.predictions(list(arms), "test")}
    scores = {arm: balanced_accuracy_score(labels, logs.argmax(1)) for arm, (logs, labels, _) in kept.items()}
    assert code == 0
    assert dict(shown) == {arm: f"{100 * score:.2f}" for arm, score in scores.items()}


def test_lost_weights_are_named_when_revealing(run, study: Path) -> None:
    run("run", study, "--no-report", "--seeds", 1)
    weights = next(Path(os.environ["ASSAY_STORE"]).rglob("weights.safetensors"))
    weights.write_bytes(b"x")
    code, output, errors = run("reveal", "small", "--yes", "--json")
    assert code == 1
    revealed = json.loads(output)
    assert (revealed["looks"], len(revealed["scores"]), len(revealed["unscored"])) == (1, 1, 1)
    assert "weights.safetensors: the weights are not the ones that were written (SHA-256 differs)" in errors
    assert run("reveal", "small", "--yes")[0] == 1  # what is there is shown again, which is no look
    _, output, _ = run("status", "--json")
    assert json.loads(output)[0]["looks"] == 1


def test_a_copy_of_a_study_says_that_its_test_images_were_looked_at(
    run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("run", study, "--no-report", "--seeds", 1)
    assert run("reveal", "small", "--yes")[0] == 0
    copy = study.with_name("copy.toml")
    copy.write_text(STUDY)
    run("run", copy, "--no-report", "--seeds", 1)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    _, _, errors = run("reveal", "copy")
    so_far = "so far: 0 by this study and 1 by other studies in the store"
    assert f"Looks at these test images {so_far}." in errors
    _, output, _ = run("reveal", "copy", "--yes")
    assert f"Looks at the test split {so_far.replace('0', '1')}" in output
    assert json.loads(run("reveal", "copy", "--json")[1])["looks_elsewhere"] == 1
    _, output, _ = run("compare", "copy", "--split", "test")
    assert "After 1 look by this study and 1 by other studies in the store at the test split" in output


def test_unknown_commands_and_studies_name_the_nearest(run) -> None:
    code, _, errors = run("reprot")
    assert code == 2
    assert 'did you mean "report"?' in errors
    code, _, errors = run("run", "first-lok")
    assert code == 2
    assert 'did you mean "first-look"?' in errors


def test_every_command_has_help_and_json(run) -> None:
    for name in COMMANDS:
        code, output, _ = run(name, "--help")
        assert code == 0
        assert "--json" in output or name == "data"
    for name in ("list", "show", "fetch"):
        assert "--json" in run("data", name, "--help")[1]


def test_shipped_studies_are_sound(run) -> None:
    """Document D's tables are made by a command, which the sentence without them names; a base of ours is a run."""
    assert {"first-look", "mnist-dropout"} <= set(shipped())
    waiting = dict.fromkeys(
        ("document-d", "document-d-search", "document-d-vgg16", "in-general"), "assay data make mnist --variation"
    )
    waiting |= {
        "transfer-own": 'the base is run "fashion-base", and in',
        "doubtful-labels": "assay data make fashion_mnist --variation noisy-labels --share 0.2",
        "pneumonia-balance": "put PneumoniaMNIST's pneumoniamnist.npz (medmnist.com) there under this name",
    }
    for name in sorted(set(shipped()) - waiting.keys()):
        assert run("describe", name)[0] == 0
    for name in sorted(waiting):
        code, _, errors = run("describe", name)
        assert code == 2
        assert waiting[name] in errors


def test_data_commands(run) -> None:
    code, output, _ = run("data", "list", "--json")
    names = {entry["name"]: entry["here"] for entry in json.loads(output)}
    assert code == 0
    assert names["digits"] is True
    assert {"mnist", "fashion_mnist"} <= set(names)
    code, output, _ = run("data", "show", "digits", "--json")
    shown = json.loads(output)
    assert sum(shown["training_counts"]) == shown["num_training"]
    assert shown["num_training"] + shown["num_test"] == 1797


def test_schema_is_a_schema(run) -> None:
    import jsonschema

    _, output, _ = run("schema")
    jsonschema.Draft202012Validator.check_schema(json.loads(output))


def test_a_study_for_a_cuda_device_is_described_anywhere_and_trained_where_one_is(
    run, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    study.write_text('device = "cuda"\n' + STUDY)
    code, output, _ = run("describe", study)
    assert code == 0
    assert "CUDA path" in output
    code, _, errors = run("run", study)
    assert code == 2
    assert 'device: "cuda" is not available: torch finds no CUDA device; train on the processor' in errors
    code, output, _ = run("run", study, "--device", "auto", "--seeds", 1, "--no-report")
    assert code == 0
    _, output, _ = run("doctor")
    assert "none (torch finds no CUDA device)" in output


def test_doctor(run) -> None:
    code, output, _ = run("doctor", "--json")
    checks = {check["check"]: check for check in json.loads(output)}
    assert code == 0
    assert {"versions", "processor", "bfloat16", "CUDA device", "data folder", "store"} <= set(checks)
    assert "torch" in checks["versions"]["found"]


def test_a_study_of_files_that_the_command_line_made(run, study: Path, tmp_path: Path) -> None:
    code, output, _ = run("data", "make", "digits", "--variation", "random-background", "--train", 300, "--test", 100,
                          "-o", tmp_path / "hard")  # fmt: skip
    assert code == 0
    assert [Path(line).name for line in output.splitlines()] == ["train_data.csv", "test_data.csv"]
    own = STUDY.replace('name = "digits"', 'path = "hard/train_data.csv"\ntest = "hard/test_data.csv"')
    study.write_text(own)
    assert run("run", study, "--seeds", 1)[0] == 0
    code, output, _ = run("reveal", "small", "--yes")
    assert code == 0
    study.write_text(own.replace('test = "hard/test_data.csv"', ""))
    assert run("run", study, "--seeds", 1)[0] == 0
    code, _, errors = run("reveal", "small", "--yes")
    assert code == 2
    assert "it has no test split" in errors
    _, output, _ = run("status", "--json")
    assert json.loads(output)[0]["looks"] == 1


def test_data_show_tells_what_is_there_and_what_is_not(run, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(3)
    for index in range(24):
        path = tmp_path / "own" / f"class-{index % 2}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(path)
    code, output, _ = run("data", "show", tmp_path / "own", "--test", "0.25", "--gallery", tmp_path / "g.html")
    assert code == 0
    for words in ("18 training images, 6 test images", "6 x 6 x 3", "class-1", "Copies, exact: 0", "drawn by Assay"):
        assert words in output
    assert "data:image/png;base64," in (tmp_path / "g.html").read_text()
    code, output, _ = run("data", "show", tmp_path / "own", "--json", "--gallery", tmp_path / "g.png")
    shown = json.loads(output)
    assert shown["training_counts"] == [12, 12]
    assert shown["num_test"] == 0
    with Image.open(tmp_path / "g.png") as picture:
        assert picture.size == (12 * 7 - 1, 2 * 7 - 1)
    code, output, _ = run("data", "show", "cifar100")
    assert code == 0
    for words in ("50,000 training and 10,000 test", "assay data fetch cifar100", "Files verified by their SHA-256"):
        assert words in output
    assert "no SHA-256 is recorded" in run("data", "show", "usps")[1]
    code, _, errors = run("data", "show", "fashion_mnst")
    assert code == 2
    assert 'did you mean "fashion_mnist"?' in errors
    assert run("data", "show", tmp_path / "own", "--gallery", tmp_path / "g.gif")[0] == 2


def test_data_show_names_the_labels_that_a_study_doubts(run, study: Path) -> None:
    run("run", study, "--no-report", "--seeds", 1)
    code, output, _ = run("data", "show", study, "--study", "small")
    assert code == 0
    assert "Doubtful labels: " in output
    code, output, _ = run("data", "show", "digits", "--study", "small", "--json")
    columns = {"index", "label", "predicted", "doubt", "wrong", "held_out", "runs", "image", "file"}
    assert columns == set(json.loads(output)["doubtful_labels"][0])


def test_comparing_and_diagnosing(run, study: Path) -> None:
    study.write_text(STUDY.replace("count = 2", "count = 6\nmargin = 90").replace("epochs = 2", "epochs = 1"))
    run("run", study, "--no-report")
    code, output, _ = run("compare")
    assert code == 0
    assert "ARMS\n" in output
    assert "equivalence p" in output
    assert "planned at 6 seeds" in output
    assert "over split, init, order, dropout" in " ".join(output.split())
    assert "say nothing about another data set" in " ".join(output.split())
    assert all(len(line) <= 100 for line in output.splitlines())
    code, output, _ = run("compare", "small", "rate", "--json")
    values = json.loads(output)
    assert code == 0
    assert values["effects"][0]["effect"] == {"factor": "rate", "low": "0", "high": "0.3"}
    assert values["effects"][0]["finding"]["n"] == 6
    assert values["effects"][0]["outcome"] in ("equivalent", "better", "worse")
    code, _, errors = run("compare", "small", "rat")
    assert (code, 'did you mean "rate"?' in errors) == (2, True)
    code, _, errors = run("compare", "small", "--split", "test")
    assert (code, "assay reveal scores it" in errors) == (2, True)
    run("reveal", "small", "--yes")
    _, output, _ = run("compare", "small", "--split", "test")
    assert "McNemar's p" in " ".join(output.split())

    code, output, _ = run("diagnose", "small")
    assert code == 0
    assert "rate=0.3: 6 runs looked at" in output
    code, output, _ = run("diagnose", "small", "--arm", "rate=0", "--json")
    values = json.loads(output)
    assert values["looked_at"] == {"rate=0": 6, "rate=0.3": 6}
    assert {one["arm"] for one in values["runs"]} <= {"rate=0"}
    code, _, errors = run("diagnose", "small", "--arm", "rate=1")
    assert (code, "has no arm" in errors) == (2, True)


def test_raw_bytes_and_mapped_labels_are_remarked_on(run, study: Path, tmp_path: Path) -> None:
    from assay.data import make

    make("digits", tmp_path / "own", num_training=100, num_test=0, form="folders")
    for index, folder in enumerate(sorted((tmp_path / "own" / "train").iterdir())):
        folder.rename(folder.with_name("abcdefghij"[index]))
    study.write_text(STUDY.replace('name = "digits"', 'path = "own"\nscaling = "none"').replace("[0.0, 0.3]", "[0.0]"))
    _, _, errors = run("run", study, "--seeds", 1, "--no-report")
    assert "note: Labels are numbered in this order: a = 0, b = 1" in errors
    assert 'note: scaling = "none" feeds raw bytes, 0 to 255' in errors


def test_another_study_of_the_same_name_is_remarked_on(run, study: Path, tmp_path: Path) -> None:
    assert "another study" not in run("run", study, "--seeds", 1, "--no-report")[2]
    assert "another study" not in run("run", study, "--seeds", 2, "--no-report")[2]
    other = tmp_path / "other" / "small.toml"
    other.parent.mkdir()
    other.write_text(STUDY.replace("rate", "share").replace("Does dropout help?", "Does something else help?"))
    _, _, errors = run("run", other, "--seeds", 1, "--no-report")
    assert 'note: The store holds another study called "small" ("Does dropout help?")' in errors


def test_all_studies_of_a_store_are_counted(run, tmp_path: Path) -> None:
    (tmp_path / "assay-store").mkdir()
    golden = Path(__file__).parents[1] / "golden" / "store-v5.sql"
    connection = sqlite3.connect(tmp_path / "assay-store" / "store.sqlite")
    connection.executescript(golden.read_text())
    connection.close()
    told = {line.split()[0]: line.split()[1:] for line in run("status")[1].splitlines()}
    assert told["study"] == ["arms", "finished", "queued", "failed", "looks", "question"]
    assert told["golden"][:5] == ["2", "1", "2", "1", "1"]
    assert told["searched"][:5] == ["0", "0", "0", "0", "0"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_running_a_study_brings_an_older_store_up_to_date(run, study: Path, tmp_path: Path, number: int) -> None:
    import sqlite3

    (tmp_path / "assay-store").mkdir()
    golden = Path(__file__).parents[1] / "golden" / f"store-v{number}.sql"
    with contextlib.closing(sqlite3.connect(tmp_path / "assay-store" / "store.sqlite")) as connection, connection:
        connection.executescript(golden.read_text())
        # The golden files are of tables; their study has no more than a name, which no version of Assay ever stored.
        design = small_study(
            name="golden",
            factors={"x": [1, 2]},
            network={"layers": ["conv {x} 3x3", "flatten", "dense classes softmax"]},
        )
        connection.execute("UPDATE studies SET spec = ?", [design.model_dump_json(exclude_none=True)])
        arm = design.expand()[0].model_dump_json(exclude_none=True)
        connection.execute("UPDATE arms SET spec = ?", [arm])
    code, output, _ = run("status", "golden", "--json")
    assert (code, json.loads(output)[0]["states"]) == (0, {"finished": 1, "diverged": 1, "queued": 2})
    assert run("run", study, "--seeds", 1, "--no-report")[0] == 0
    assert run("status", "golden")[0] == 0
