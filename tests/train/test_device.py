"""Where runs are placed: asked for, found or refused, and never part of a run's identity."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import assay
from assay.data import prepare
from assay.errors import SpecError
from assay.runner import make_plan
from assay.spec import Study
from assay.train.device import device_of, environment, why_no_cuda
from assay.train.task import Task

from ..helpers import small_study


@pytest.mark.parametrize(
    ("version", "is_available", "reason"),
    [(None, False, "is built without CUDA"), ("13.0", False, "finds no CUDA device"), ("13.0", True, None)],
)
def test_a_device_is_what_is_asked_for_or_one_clear_sentence(
    monkeypatch: pytest.MonkeyPatch, version: str | None, is_available: bool, reason: str | None
) -> None:
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: is_available)
    assert device_of("cpu") == "cpu"
    assert device_of("auto") == ("cpu" if reason else "cuda")
    if reason is None:
        assert device_of("cuda") == "cuda"
        return
    with pytest.raises(SpecError, match=reason) as caught:
        device_of("cuda")
    (problem,) = caught.value.problems
    assert problem.key == "device"
    assert '"auto"' in problem.fix


@pytest.mark.skipif(why_no_cuda() is None, reason="there is a CUDA device")
def test_nothing_trains_where_there_is_no_device(tmp_path: Path) -> None:
    for study, asked in ((small_study(device="cuda"), None), (small_study(), "cuda")):
        with pytest.raises(SpecError, match="is not available"):
            assay.run(study, store=tmp_path / "store", device=asked)
    assert not (tmp_path / "store").exists()


def test_a_device_asked_for_overrides_the_study(tmp_path: Path) -> None:
    result = assay.run(small_study(device="cuda", seeds={"count": 1}), store=tmp_path, device="cpu")
    assert {run.state for run in result.runs} == {"finished"}
    assert {run.environment["device"] for run in result.runs} == {"cpu"}
    assert Study.of(result.record.spec).device == "cpu"


def test_another_word_is_refused() -> None:
    with pytest.raises(SpecError, match="device: got 'gpu'; give"):
        small_study(device="gpu")
    with pytest.raises(SpecError, match="device: got 'gpu'; give"):
        device_of("gpu")  # type: ignore[arg-type]


def test_runs_keep_their_identity_on_another_device(tmp_path: Path) -> None:
    study, dataset = small_study(), prepare("digits")
    here, there = (make_plan(study, dataset, tmp_path, device=device).tasks for device in ("cpu", "cuda"))
    assert [task.id for task in here] == [task.id for task in there]
    assert {task.device for task in there} == {"cuda"}
    assert Task.from_json(there[0].to_json()) == there[0]


def test_a_record_names_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some device")
    assert environment(threads=1)["device"] == "cpu"
    told = environment(threads=1, device="cuda")
    assert (told["device"], told["cuda"]["name"]) == ("cuda", "Some device")
