"""From raw samples to the table (Markdown) and the chart (SVG). Pure functions of the saved file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from chart import chart
from probes import EPOCH, PROBES, training_flops
from roster import KERAS_FIT, NAMES, OURS_ALONE, OURS_PACKED, PACKED, RIVALS, TITLES

Raw = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """A median with its range. ``n`` is the number of rounds."""

    middle: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        found = list(values)
        return cls(median(found), min(found), max(found), len(found)) if found else None

    def text(self, form: str = ".2f") -> str:
        alone = f"{self.middle:{form}}"
        return alone if self.n == 1 else f"{alone} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True)
class Ratio:
    """How many times less time ours takes than the best of some rivals, round by round."""

    rival: str
    theirs: Spread
    ours: Spread
    times: Spread


def run_epoch_seconds(sample: Raw) -> float:
    """Seconds per run and epoch: of processes side by side, the mean process's epoch shared by all of them."""
    return fmean(fmean(result["epoch_seconds"]) for result in sample["results"]) / sample["processes"]


def by_round(raw: Raw, system: str, probe: str) -> dict[int, float]:
    """Seconds per run and epoch, by round."""
    return {
        sample["round"]: run_epoch_seconds(sample)
        for sample in raw["samples"]
        if sample["system"] == system and sample["probe"] == probe
    }


def ratio(raw: Raw, rivals: Iterable[str], ours: str, probe: str) -> Ratio | None:
    """Ours against the rival with the smallest median; each ratio is of two times from one round."""
    own = by_round(raw, ours, probe)
    theirs = {rival: times for rival in rivals if (times := by_round(raw, rival, probe)) and own.keys() & times.keys()}
    if not theirs:
        return None
    best = min(theirs, key=lambda rival: median(theirs[rival].values()))
    shared = sorted(own.keys() & theirs[best].keys())
    spreads = [
        Spread.of(values)
        for values in (
            [theirs[best][round_] for round_ in shared],
            [own[round_] for round_ in shared],
            [theirs[best][round_] / own[round_] for round_ in shared],
        )
    ]
    return Ratio(best, *spreads)  # type: ignore[arg-type]


GOALS = (
    ("Runs side by side against Keras `fit` at its defaults, best of three backends", KERAS_FIT, OURS_PACKED, 4.0),
    ("Runs side by side against the best tuned rival, as many side by side", PACKED, OURS_PACKED, 1.8),
    ("One run alone on all cores against Keras `fit` at its defaults", KERAS_FIT, OURS_ALONE, 2.2),
)  # fmt: skip


def markdown(raw: Raw, source: str, figure: str) -> str:
    """The whole page."""
    sections = [_head(raw, source, figure), _goals(raw), _limits(raw), _systems(raw), _roofline(raw), _method(raw)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(raw: Raw, source: str, figure: str) -> str:
    about = raw["machine"]
    virtual = ", virtual" if about["is_virtual"] else ""
    lines = ["# Benchmarks", ""]
    if raw["is_smoke"]:
        lines += ["**A trial with few images, to see whether everything works. Its figures mean nothing.**", ""]
    flags = ", ".join(about["flags"]) or "no flags known"
    known = ", ".join(f"{name} {version}" for name, version in sorted(versions(raw).items()))
    lines += [
        f"Written by `make bench` on {raw['date']} from [the raw samples]({source}). Seconds per run for {EPOCH:,} "
        "images of training, evaluation not counted; the median over rounds, then the range.",
        "",
        f"- Machine: {about['processor']} (family and model {about['family_and_model']}), {about['cores']} "
        f"cores{virtual}, {about['memory_gigabytes']} GB, {about['system']}; {flags}",
        f"- Versions: {known}; Assay at {raw['assay']['revision'] or raw['assay']['version']}",
        f"- Rounds: {raw['rounds']}. In each, every system ran once on every probe, in turn; {raw['epochs']} timed "
        "epochs a sample",
        "",
        f"![Seconds per run and epoch of every system on every probe]({figure})",
    ]
    return "\n".join(lines)


def versions(raw: Raw) -> dict[str, str]:
    found = {"python": raw["machine"]["python"]}
    for sample in [*raw["samples"], *raw["heats"]]:
        for result in sample["results"]:
            rival = sample["system"] not in (OURS_PACKED, OURS_ALONE)
            found |= {name: version for name, version in result["versions"].items() if rival or name == "numpy"}
    return found


def _goals(raw: Raw) -> str:
    rows = []
    for what, rivals, ours, goal in GOALS:
        for probe in PROBES:
            found = ratio(raw, rivals, ours, probe)
            if found:
                met = _verdict(raw, found.times.middle >= goal)
                rows.append(
                    f"| {what} | {probe} | {found.ours.text()} | {TITLES[found.rival]} | {found.theirs.text()} "
                    f"| **{found.times.text()}** | {goal:g} | {met} | {found.times.n} |"
                )
    head = ("what", "probe", "ours, s", "competitor", "its time, s", "times faster", "goal", "", "n")
    return "\n".join(["## Ratios, measured side by side", "", *_head_of(*head), *rows]) if rows else ""


def _verdict(raw: Raw, is_met: bool) -> str:
    return "" if raw["is_smoke"] else "met" if is_met else "**missed**"


def _head_of(*names: str) -> list[str]:
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


def _limits(raw: Raw) -> str:
    rows = []

    def row(what: str, values: Iterable[float], limit: float | None, unit: str, form: str) -> None:
        found = Spread.of(values)
        if found:
            met = "" if limit is None else _verdict(raw, found.middle <= limit)
            rows.append(
                f"| {what} | {found.text(form)} {unit} | {f'{limit:g} {unit}' if limit else ''} | {met} | {found.n} |"
            )

    for probe in (key for key, value in PROBES.items() if value.data == "mnist"):
        peaks = [
            max(result["peak_memory_bytes"] - result["shared_data_bytes"] for result in sample["results"]) / 1e6
            for sample in raw["samples"]
            if sample["system"] == OURS_PACKED and sample["probe"] == probe
        ]
        row(f"Memory of one worker beyond the shared data, probe {probe}", peaks, 600, "MB", ".0f")
    for cache, limit, what in (("empty", 15, "made at first use"), ("warm", 0.5, "loaded from the cache")):
        for probe in PROBES:
            found = [use for use in raw["first_use"] if use["cache"] == cache and use["probe"] == probe]
            source = f" ({found[0]['source']})" if found else ""
            row(f"Kernels {what}, probe {probe}{source}", (use["seconds"] for use in found), limit, "s", ".2f")
    whole = [study for study in raw["studies"] if study["study"] == "c-regularization"]
    if whole:
        one = whole[0]
        size = f"{one['num_arms']} arms, {one['num_runs']} runs of {'/'.join(map(str, one['epochs']))} epochs"
        failed = one["num_runs"] - one["num_finished"]
        size += f", {failed} of them failed" if failed else ""
        row(f"`assay run c-regularization`, the whole command ({size})", [one["command_seconds"]], 150, "s", ".0f")
    quick = [study for study in raw["studies"] if study["study"] == "mnist-99"]
    if quick:
        accuracy = fmean(study["validation_accuracy"] for study in quick)
        what = f"One training of `mnist-99` alone on all cores (validation accuracy {accuracy:.2%})"
        row(what, (study["run_seconds"] for study in quick), None, "s", ".2f")
    if not rows and not raw["notes"]:
        return ""
    table = [*_head_of("what", "measured", "limit", "", "n"), *rows] if rows else []
    notes = [f"- {note}" for note in dict.fromkeys(raw["notes"])]
    return "\n".join(["## Limits", "", *table, *([""] if rows and notes else []), *notes])


def _systems(raw: Raw) -> str:
    blocks = ["## Every system"]
    for key, probe in PROBES.items():
        rows = []
        for system in NAMES:
            found = Spread.of(by_round(raw, system, key).values())
            if not found:
                continue
            samples = [sample for sample in raw["samples"] if sample["system"] == system and sample["probe"] == key]
            first = samples[-1]["results"][0]
            against = ratio(raw, [system], OURS_PACKED, key)
            times = "" if against is None or system == OURS_PACKED else against.times.text()
            threads = first["threads"] or "all"
            memory = max(result["peak_memory_bytes"] for sample in samples for result in sample["results"]) / 1e6
            scaled = f", {first['images']:,} images scaled up" if first["images"] < 0.99 * EPOCH else ""
            variant = f", {samples[-1]['variant']}" if system in PACKED else ""
            cells = (
                TITLES[system] + variant,
                f"{samples[-1]['processes']} x {threads}",
                f"{first['precision'] or ''}{scaled}",
                found.text(),
                times,
                f"{memory:.0f}",
                str(found.n),
            )
            rows.append("| " + " | ".join(cells) + " |")
        if rows:
            head = ("system", "processes x threads", "precision", "s per run and epoch", "times ours", "MB", "n")
            work = f"{training_flops(probe) / 1e6:.1f} MFLOP an image"
            title = f"### {key}: {probe.name}, {probe.data}, batch {probe.batch_size}, {probe.optimizer}, {work}"
            blocks.append("\n".join([title, "", *_head_of(*head), *rows]))
    heats = _heats(raw)
    return "\n\n".join([*blocks, *([heats] if heats else [])]) if len(blocks) > 1 else ""


def _heats(raw: Raw) -> str:
    rows = []
    for rival in RIVALS:
        for probe in PROBES:
            tried = [heat for heat in raw["heats"] if heat["system"] == rival.name and heat["probe"] == probe]
            if tried:
                times = ", ".join(f"{heat['variant']} {run_epoch_seconds(heat):.2f}" for heat in tried)
                rows.append(f"| {rival.title} | {probe} | {times} |")
    if not rows:
        return ""
    intro = "Each variant once on few images; the fastest went into the rounds. Seconds per run and epoch, n = 1."
    return "\n".join(["### Variants tried", "", intro, "", "| system | probe | variants |", "|---|---|---|", *rows])


def _roofline(raw: Raw) -> str:
    if not raw["roofline"]:
        return ""
    rows = []
    measures: tuple[tuple[str, str, str], ...] = (
        ("matmul_float32_gflops", "Matrix product, float32", "GFLOP/s"),
        ("matmul_bfloat16_gflops", "Matrix product, bfloat16", "GFLOP/s"),
        ("copy_gigabytes_per_second", "Copy, read and written", "GB/s"),
    )
    threads = list(raw["roofline"][0]["threads"])
    ceiling: Callable[[str, str], Spread | None] = lambda count, name: Spread.of(  # noqa: E731
        one["threads"][count][name] for one in raw["roofline"]
    )
    for name, what, unit in measures:
        cells = [f"{found.text('.0f')} {unit}" for count in threads if (found := ceiling(count, name))]
        rows.append(f"| {what} | {' | '.join(cells)} |")
    lines = []
    most = threads[-1]
    for key, probe in PROBES.items():
        found = Spread.of(by_round(raw, OURS_PACKED, key).values())
        for precision in ("float32", "bfloat16"):
            top = ceiling(most, f"matmul_{precision}_gflops")
            if found and top:
                reached = training_flops(probe) * EPOCH / found.middle / 1e9
                lines.append(f"{key} {reached / top.middle:.0%} of {precision}'s")
    share = (
        f"\n\nAssay's runs side by side reach, of the matrix-product ceiling on all cores: {'; '.join(lines)}."
        if lines
        else ""
    )
    head = "| ceiling | " + " | ".join(f"{count} thread{'s' if count != '1' else ''}" for count in threads) + " |"
    rule = "|---" * (len(threads) + 1) + "|"
    return "\n".join(["## Roofline, measured in the same rounds", "", head, rule, *rows]) + share


def _method(raw: Raw) -> str:
    overlaps = [sample["overlap"] for sample in raw["samples"] if "overlap" in sample]
    loads = [sample["load_before"] for sample in raw["samples"]]
    lines = ["## How", "", "[benchmarks/README.md](../benchmarks/README.md) says what is measured and what is not."]
    if overlaps:
        lines.append(f"Runs of Assay side by side were all busy for at least {min(overlaps):.0%} of what was timed.")
    if loads:
        lines.append(
            f"The machine's load before a sample was {min(loads):.1f} to {max(loads):.1f}, median {median(loads):.1f}."
        )
    if "total_seconds" in raw:
        lines.append(f"The whole benchmark took {raw['total_seconds'] / 60:.0f} minutes.")
    return "\n".join(lines)


def write(path: Path, folder: Path) -> tuple[Path, Path]:
    """Read the raw samples, write table and chart into the folder, return their paths."""
    raw = json.loads(path.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    page, figure = folder / "benchmarks.md", folder / "benchmarks.svg"
    source = path.resolve()
    link = f"../benchmarks/results/{path.name}" if source.parent.name == "results" else path.name
    page.write_text(markdown(raw, link, figure.name))
    bars = {
        f"{key}: {probe.name}, batch {probe.batch_size}, {probe.optimizer}": [
            (TITLES[system], found.middle, found.low, found.high, system in (OURS_PACKED, OURS_ALONE))
            for system in NAMES
            if (found := Spread.of(by_round(raw, system, key).values()))
        ]
        for key, probe in PROBES.items()
    }
    figure.write_text(chart({title: rows for title, rows in bars.items() if rows}))
    return page, figure
