"""Studies beyond any bound are refused at once, with the number and the limit, before memory is taken."""

from __future__ import annotations

import os
import resource
import socket
import time
from pathlib import Path

import pytest

from assay.errors import SpecError
from assay.nets import parse, summarize
from assay.spec import Study, read_study

HEAD = 'question = "q"\n[data]\nname = "digits"\n'
LAYERS = '[network]\nlayers = ["flatten", "dense classes softmax"]\n'


def refused(path: Path) -> str:
    """The error's text; reading the file took neither time nor memory."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(SpecError) as caught:
        read_study(path)
    assert time.monotonic() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + '[network]\nlayers = ["flatten",' + ",".join(f'"dropout {{f{i}}}"' for i in range(9))
            + ',"dense classes softmax"]\n[factors]\n'
            + "\n".join(f"f{i} = {[round(0.01 * k, 2) for k in range(10)]}" for i in range(9)),
            "the study would have 1,000,000,000 arms; give fewer levels or factors: 10,000 arms are the most",
        ),
        (HEAD + LAYERS + "[seeds]\ncount = 1000000000", "1000000000"),
        (
            HEAD + '[network]\nlayers = ["flatten", "dropout {r}", "dense classes softmax"]\n[factors]\nr = '
            + str([k / 100 for k in range(50)]) + "\n[seeds]\ncount = 100000",
            "the study would have 5,000,000 runs; give fewer seeds or arms: 1,000,000 runs are the most",
        ),
        (HEAD + "[network]\nlayers = [" + '"relu",' * 400_000 + "]", "got a list of 400,000 layers"),
        ("a = " + "[" * 100_000 + "]" * 100_000, "its lists or tables lie too deep in each other"),
        (HEAD + "[network]\nlayers = " + "[{repeat=1, layers=" * 100 + "[]" + "}]" * 100, "more than 64 deep"),
        (HEAD + "[network]\nlayers = " + "[{repeat=1, layers=" * 5_000 + "[]" + "}]" * 5_000, "too deep"),
        ("[seeds]\ncount = " + "9" * 100_000, "a number in it is too long"),
        ('name = ".."\n' + HEAD + LAYERS, '".." is no name for a study'),
        (f'name = "{"n" * 500}"\n' + HEAD + LAYERS, "name"),
        ("# " + "x" * (5 << 20), "this file is larger than 4 MiB"),
    ],
    ids=["arms", "seeds", "runs", "layers", "nested lists", "nested", "nested tables", "digits", "..", "name",
         "file"],
)  # fmt: skip
def test_what_is_too_large_is_refused_at_once(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "large.toml"
    path.write_text(text)
    assert message in refused(path)


def test_the_largest_studies_stay_possible() -> None:
    levels = [k / 100 for k in range(100)]
    layers = ["flatten", "dropout {a}", "dense classes softmax"]
    study = Study.of(
        {
            "data": {"name": "digits"},
            "network": {"layers": layers},
            "factors": {"a": levels},
            "seeds": {"count": 10_000},
        }
    )
    assert len(study.expand()) * study.seeds.planned == 1_000_000


def test_pipes_devices_and_sockets_are_no_study_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    assert "this is a pipe; give a file" in refused(tmp_path / "pipe.toml")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s.toml"))
        assert "this is a socket" in refused(tmp_path / "s.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    assert "this is a device" in refused(tmp_path / "zero.toml")


def test_numbers_beyond_any_use_are_refused_with_the_limit(tmp_path: Path) -> None:
    huge = "1" + "0" * 30
    search = '[network]\nlayers = ["flatten", "dense {w}", "dense classes softmax"]\n[search]\ntrials = 2\n'
    for text, key, limit in (
        (f"[training]\nepochs = {huge}", "training.epochs", "100000"),
        (f"[training]\nstop_after = {huge}", "training.stop_after", "100000"),
        (f"[training]\nbatch_size = {huge}", "training.batch_size", "1000000"),
        (f"[training]\nearly_stopping = {{ patience = {huge} }}", "training.early_stopping.patience", "1000000"),
        (f"[training]\naugmentation = {{ crop = {huge} }}", "training.augmentation.crop", "10000"),
        ("[training]\naugmentation = { shift = 1e12 }", "training.augmentation.shift", "10000"),
        (f"{search}[search.space]\nw = {{ low = 1, high = {huge} }}", "search.space.w.high", "9,007,199,254,740,992"),
        (f"{search}halving = {{ max_epochs = {huge} }}\n[search.space]\nw = [8, 16]", "max_epochs", "100000"),
    ):
        path = tmp_path / "large.toml"
        path.write_text(HEAD + ("" if "[search]" in text else LAYERS) + text)
        message = refused(path)
        assert key in message
        assert limit in message


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv 1000000000 3x3", "conv1 would put out 36,000,000,000 values for each image"),
        ("zeropad 1000000000", "values for each image; make it smaller: 268,435,456 are the most"),
        ("conv 4 1000000000x1000000000 padding=same", "parameters (conv1 has 4,000,000,000,000,000,004)"),
    ],
)
def test_networks_that_no_machine_holds_are_refused(layer: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        summarize(parse([layer, "flatten", "dense classes softmax"]), (8, 8, 1), 10)
    assert message in str(caught.value)


@pytest.mark.parametrize("word", ["dense " + "9" * 1_000_000, "a" * 1_000_000])
def test_endless_words_are_quoted_in_part(word: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(["flatten", word, "dense classes softmax"])
    assert len(str(caught.value)) < 3000
