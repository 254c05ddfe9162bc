"""Joules from a constructed powercap tree: wrap-around, packages summed, parts not counted twice, a shared machine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import assay
from assay.cli.main import commands
from assay.data import prepare
from assay.energy import Counter, Meter, busy_processor_seconds, energy_facts, energy_source
from assay.report.figures.cost import front
from assay.runner import worker
from assay.train.engine import train

from .helpers import small_study, tasks_of

RANGE = 65_532_610_987


class Clock:
    """Processor time of this process and of the whole machine, set by a test."""

    def __init__(self) -> None:
        self.own, self.busy = 0.0, 0.0


def zone(folder: Path, place: str, name: str, value: int = 0, range_uj: int = RANGE) -> Path:
    own = folder / place
    own.mkdir(parents=True)
    (own / "name").write_text(f"{name}\n")
    (own / "energy_uj").write_text(f"{value}\n")
    (own / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return own / "energy_uj"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two packages with their parts, the first one's memory, a platform counter that holds all, and a second driver."""
    folder = tmp_path / "powercap"
    zone(folder, "intel-rapl:0", "package-0")
    zone(folder, "intel-rapl:0:0", "core")
    zone(folder, "intel-rapl:0:1", "uncore")
    zone(folder, "intel-rapl:0:2", "dram")
    zone(folder, "intel-rapl:1", "package-1")
    zone(folder, "intel-rapl:2", "psys")
    zone(folder, "intel-rapl-mmio:0", "package-0")
    return folder


def meter_of(folder: Path, clock: Clock) -> Meter:
    return Meter(energy_source(folder), own_seconds=lambda: clock.own, busy_seconds=lambda: clock.busy, seconds=0)


def test_packages_and_their_memory_are_summed_and_parts_are_not_counted_twice(tree: Path) -> None:
    source = energy_source(tree)
    assert [counter.name for counter in source.counters] == ["package-0", "package-0 dram", "package-1"]
    assert source.description == "RAPL: package-0, package-0 dram, package-1"
    clock = Clock()
    meter = meter_of(tree, clock)
    spent = {"intel-rapl:0": 7, "intel-rapl:0:0": 5, "intel-rapl:0:2": 2, "intel-rapl:1": 4, "intel-rapl:2": 50}
    for place, joules in spent.items():
        (tree / place / "energy_uj").write_text(str(joules * 1_000_000))
    clock.own = clock.busy = 10.0
    assert meter.spent() == pytest.approx((13, 13))


def test_a_counter_that_wraps_around_goes_on(tree: Path) -> None:
    package, clock = tree / "intel-rapl:0" / "energy_uj", Clock()
    package.write_text(str(RANGE - 2_000_000))
    meter = meter_of(tree, clock)
    for value, joules in ((RANGE - 500_000, 1.5), (999_999, 3.0), (4_999_999, 7.0)):
        package.write_text(str(value))
        clock.own = clock.busy = clock.busy + 5
        assert meter.spent() == pytest.approx((joules, joules))


def test_a_run_beside_others_gets_its_share_of_the_busy_time(tree: Path) -> None:
    package, clock = tree / "intel-rapl:0" / "energy_uj", Clock()
    meter = meter_of(tree, clock)
    package.write_text(str(100_000_000))
    clock.own, clock.busy = 2.0, 8.0  # a quarter of the busy time
    assert meter.spent() == pytest.approx((25, 100))
    package.write_text(str(300_000_000))
    clock.own, clock.busy = 6.0, 12.0  # alone since
    assert meter.spent() == pytest.approx((225, 300))
    package.write_text(str(310_000_000))
    clock.own, clock.busy = 6.2, 12.4  # an interval that has just begun counts, too
    assert meter.spent() == pytest.approx((230, 310))
    facts = energy_facts(meter.source, meter.spent())
    assert facts == {"joules": 230.0, "package_joules": 310.0, "source": meter.source.description}


def test_what_cannot_be_measured_is_said(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = energy_source(tmp_path / "none")
    assert nowhere.lacking == f"this machine tells no energy ({tmp_path / 'none'} is not there)"
    assert Meter(nowhere).spent() is None
    assert energy_facts(nowhere, None) == {"lacking": nowhere.lacking}
    assert energy_facts(energy_source(tree), (1.0, 2.0), device="cuda") == {
        "lacking": "the energy of a CUDA device is not measured"
    }
    clock = Clock()
    meter = meter_of(tree, clock)
    (tree / "intel-rapl:1" / "energy_uj").unlink()  # a part alone would look like thrift
    assert meter.spent() is None
    assert energy_facts(meter.source, None) == {"lacking": "the counters could not be read to the end"}

    reading = Path.read_text

    def refused(path: Path) -> str:
        if path == tree / "intel-rapl:0" / "energy_uj":
            raise PermissionError(13, "Permission denied")
        return reading(path)

    monkeypatch.setattr(Path, "read_text", refused)
    source = energy_source(tree)
    assert source.counters == ()
    assert source.lacking.endswith("may not be read: an administrator can allow it with chmod a+r")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert energy_source(empty).lacking == f"this machine tells no energy (no package under {empty})"


def test_busy_time_is_all_but_waiting(tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    file = tmp_path / "stat"
    numbers = [10, 20, 30, 1000, 2000, 4, 5, 6, 7, 8]  # user, nice, system, idle, iowait, irq, softirq, steal, guests
    file.write_text(f"cpu  {' '.join(str(ticks * number) for number in numbers)}\ncpu0 1 2 3\n")
    assert busy_processor_seconds(file) == 75
    assert busy_processor_seconds(tmp_path / "none") is None
    assert busy_processor_seconds() is None or busy_processor_seconds() > 0  # type: ignore[operator]


def test_a_run_keeps_its_joules_and_the_report_shows_them(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the worker's own function, the store, the table of runs and the report; resumed runs add up."""
    package, ticks = tree / "intel-rapl:0" / "energy_uj", iter(range(10**6))

    def read(counter: Counter) -> int:
        return 3_000_000 * next(ticks) if counter.path == package else 0  # 3 J with each reading

    monkeypatch.setattr(Counter, "read", read)
    monkeypatch.setattr(worker, "energy_source", lambda: energy_source(tree))
    study = small_study(network={"layers": ["flatten", "dropout {rate}", "dense classes softmax"]})
    result = assay.run(study, store=tmp_path / "store", workers=1)
    joules = result.frame()["joules"]
    assert (joules > 0).all()
    facts = [run.environment["energy"] for run in result.runs]
    assert [one["joules"] for one in facts] == list(joules)
    assert all(one["package_joules"] >= one["joules"] for one in facts)
    html = result.report(tmp_path / "r.html", explanations=()).read_text()
    assert "Accuracy against energy" in html
    assert "joules per run" in html
    assert "RAPL: package-0, package-0 dram, package-1" in html
    assert "package_joules" not in html
    printed = CliRunner().invoke(commands, ["runs", "small", "--store", str(tmp_path / "store")])
    assert "joules" in printed.output

    monkeypatch.setattr(worker, "energy_source", lambda: energy_source(tmp_path / "none"))
    other = assay.run(study.model_copy(update={"name": "other"}), store=tmp_path / "other", workers=1)
    html = other.report(tmp_path / "r.html", explanations=()).read_text()
    assert "Energy was not measured: this machine tells no energy" in html
    assert "Accuracy against energy" not in html
    assert other.frame()["joules"].isna().all()


def test_a_resumed_run_has_all_its_joules(tree: Path, tmp_path: Path) -> None:
    study = small_study(network={"layers": ["flatten", "dense classes softmax"]}, factors={})
    task, data = tasks_of(study, tmp_path)[0], prepare(study.data).training()
    package, clock, checkpoint = tree / "intel-rapl:0" / "energy_uj", Clock(), tmp_path / "checkpoint"

    def spend(record: object) -> None:
        clock.own, clock.busy = clock.own + 2, clock.busy + 2
        package.write_text(str(int(package.read_text()) + 5_000_000))

    first = meter_of(tree, clock)
    spend(None)
    train(replace(task, pause_after=1), data, checkpoint=checkpoint, meter=first)
    resumed = train(task, data, checkpoint=checkpoint, meter=meter_of(tree, clock), on_epoch=spend)
    # 5 before the pause; then 5 as the first epoch is told again, and 5 after the second.
    assert resumed.joules == pytest.approx((15, 15))
    assert train(task, data).joules is None


def test_the_front_is_who_is_not_beaten_at_the_same_cost() -> None:
    assert front([3, 1, 2, 2, 5], [0.9, 0.7, 0.7, 0.8, 0.9]) == [1, 3, 0]
    assert front([3, 1, 2], [0.1, 0.3, 0.2], higher_is_better=False) == [1, 2, 0]
    assert front([1, 1], [0.5, 0.5]) == [0]
