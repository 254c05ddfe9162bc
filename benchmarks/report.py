"""From raw samples to the table (Markdown) and the chart (SVG). Pure functions of the saved file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from bounds import bounds
from chart import chart
from cost import training_flops
from probes import EPOCH, PROBES
from roster import KERAS_FIT, NAMES, OURS_ALONE, OURS_PACKED, PACKED, RIVALS, SLOWER, TITLES
from samples import Raw, Spread, by_round, ceiling, ratio, run_epoch_seconds, thread_counts
from tables import head, percent, verdict
from targets import TARGETS, can_round


@dataclass(frozen=True)
class Goal:
    """How many times less time ours should take than the best of some rivals, by probe. Others are shown without."""

    what: str
    rivals: tuple[str, ...]
    ours: str
    times: dict[str, float]


_FIT = "side by side, against Keras `fit`"
_TUNED = "side by side, against the best tuned rival"
_ALONE = "one alone, against Keras `fit`"
GOALS = {
    "native": (
        Goal(_FIT, KERAS_FIT, OURS_PACKED, {**dict.fromkeys("ACE", 4.0), **dict.fromkeys("VR", 3.0)}),
        Goal(_TUNED, PACKED, OURS_PACKED, {**dict.fromkeys("ACE", 1.8), **dict.fromkeys("VRM", 1.5)}),
        Goal(_ALONE, KERAS_FIT, OURS_ALONE, dict.fromkeys("ACE", 2.2)),
    ),
    "avx2": (
        Goal(_FIT, KERAS_FIT, OURS_PACKED, dict.fromkeys("ACEVRM", 2.0)),
        Goal(_TUNED, PACKED, OURS_PACKED, dict.fromkeys("ACEVRM", 1.3)),
        Goal(_ALONE, KERAS_FIT, OURS_ALONE, {}),
    ),
}
FIRST_USE_SECONDS = 4
# One training of mnist-99, on a machine whose thread copies at least so many GB/s, and on others.
FAST_COPY, MNIST_SECONDS, MNIST_SECONDS_SLOW = 25, 1.0, 2.0


def markdown(raw: Raw, source: str, figure: str, name: str | None = None) -> str:
    """The whole page; ``name`` is the kind of machine, where there is a page for each."""
    parts = (_probes, _goals, _limits, bounds, _systems, _roofline, _method)
    sections = [_head(raw, source, figure, f" ({name})" if name else ""), *(part(raw) for part in parts)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(raw: Raw, source: str, figure: str, kind: str) -> str:
    about = raw["machine"]
    virtual = ", virtual" if about["is_virtual"] else ""
    target = raw.get("target", "native")
    subject = (
        f"Times are seconds per run for {EPOCH:,} training images, without evaluation: median, then range over rounds."
    )
    if target == "native":
        lines = [
            f"# Benchmarks{kind}",
            "",
            f"How fast Assay trains small networks, beside Keras, TensorFlow, PyTorch and JAX. {subject}",
            "",
        ]
    else:
        variables = ", ".join(f"`{name}={value}`" for name, value in TARGETS[target].items())
        lines = [
            f"# Benchmarks with AVX2 alone{kind}",
            "",
            "How fast Assay trains small networks where there is no AVX-512. Every system was held to AVX2 and float32 "
            f"on a processor that has more; with all its instructions, see [benchmarks.md](benchmarks.md). {subject}",
            "",
            f"The instructions are limited by {variables}.",
            "",
        ]
    if raw["is_smoke"]:
        lines += ["**This is a trial with few images, to see whether everything works. Its figures mean nothing.**", ""]
    flags = ", ".join(about["flags"]) or "no flags known"
    known = ", ".join(f"{name} {version}" for name, version in sorted(versions(raw).items()))
    lines += [
        f"`make bench` wrote this page on {raw['date']} from [the raw samples]({source}).",
        "",
        f"- Machine: {about['processor']} (family and model {about['family_and_model']}), {about['cores']} "
        f"cores{virtual}, {about['memory_gigabytes']} GB, {about['system']}; {flags}",
        *_rates(raw),
        f"- Versions: {known}; Assay at {raw['assay']['revision'] or raw['assay']['version']}",
        f"- Rounds: {raw['rounds']}. In each round every system that entered trains every network once, in turn. A "
        f"sample has {raw['epochs']} timed epochs of a small network, or one of a large one",
        *_images(raw),
        "",
        f"![Seconds per run and epoch of every system on every network]({figure})",
    ]
    return "\n".join(lines)


def _rates(raw: Raw) -> list[str]:
    """A thread's share of the ceilings, as one line."""
    if not raw["roofline"]:
        return []
    one = thread_counts(raw)[0]
    measures = (
        ("matmul_float32_gflops", "matrix product {} GFLOP/s in float32"),
        ("matmul_bfloat16_gflops", "{} in bfloat16"),
        ("copy_gigabytes_per_second", "copy {} GB/s, read and written"),
    )
    said = [
        form.format(found.text(".0f"))
        for name, form in measures
        if _is_used(raw, name) and (found := ceiling(raw, one, name))
    ]
    return [f"- One thread: {', '.join(said)}"]


def _is_used(raw: Raw, measure: str) -> bool:
    """Whether any system computes so: where bfloat16 would be emulated, none does."""
    return "bfloat16" not in measure or can_round(raw.get("target", "native"), raw["machine"]["flags"])


def _images(raw: Raw) -> list[str]:
    """Which colour images, where there are any."""
    source = raw.get("colour_images")
    return [f"- Colour images (V, R, M): {source}; M's are enlarged to 64x64"] if source else []


def versions(raw: Raw) -> dict[str, str]:
    found = {"python": raw["machine"]["python"]}
    for sample in [*raw["samples"], *raw["heats"]]:
        for result in sample["results"]:
            rival = sample["system"] not in (OURS_PACKED, OURS_ALONE)
            found |= {name: version for name, version in result["versions"].items() if rival or name == "numpy"}
    return found


_RATIOS = """Each ratio is of two times from one round. The competitor is whichever system has the smallest median.

- *Side by side*: as many runs at a time as cores, one thread each. Tuned rivals run in the same way, each in its faster
  precision.
- *One alone*: one run on all cores.
- *Keras `fit`*: at its defaults, on all cores, with the best of its backends TensorFlow, JAX and torch.
- *Goal*: how many times faster Assay is meant to be, where a goal was set."""


def _goals(raw: Raw) -> str:
    rows = []
    for goal in GOALS[raw.get("target", "native")]:
        for probe in PROBES:
            found = ratio(raw, goal.rivals, goal.ours, probe)
            if found:
                wanted = goal.times.get(probe)
                met = "" if wanted is None else verdict(raw, found.times.middle >= wanted)
                precision = f", {found.precision}" if goal.rivals == PACKED else ""
                rows.append(
                    f"| {goal.what} | {probe} | {found.ours.text()} | {TITLES[found.rival]}{precision} "
                    f"| {found.theirs.text()} | **{found.times.text()}** | {'' if wanted is None else f'{wanted:g}'} "
                    f"| {met} | {found.times.n} |"
                )
    names = ("runs", "network", "ours, s", "competitor", "its time, s", "times faster", "goal", "", "n")
    return "\n".join(["## Times faster than other libraries", "", _RATIOS, "", *head(*names), *rows]) if rows else ""


def _probes(raw: Raw) -> str:
    """What is trained."""
    used = {sample["probe"] for sample in raw["samples"]}
    rows = [
        f"| {key} | {probe.name} | {probe.data} | {probe.batch_size} | {probe.optimizer} "
        f"| {training_flops(probe) / 1e6:.1f} |"
        for key, probe in PROBES.items()
        if key in used
    ]
    intro = (
        "A, C and E are published networks on grey images: a large, a small and a tiny one. V is a chain of pairs of "
        "3x3 convolutions with batch normalization, R is ResNet-20, M consists of separable blocks. "
        "MFLOP count forward and backward."
    )
    names = ("network", "what it is", "data", "batch", "optimizer", "MFLOP an image")
    return "\n".join(["## Networks", "", intro, "", *head(*names), *rows]) if rows else ""


_FIRST_USE = "*Compiling* is a command with an empty cache of kernels less the same command with a full one."


def _limits(raw: Raw) -> str:
    rows = []

    def row(what: str, values: Iterable[float], limit: float | None, unit: str, form: str) -> None:
        found = Spread.of(values)
        if found:
            met = "" if limit is None else verdict(raw, found.middle <= limit)
            measured = re.sub(r"-(?!0\.0+\b)", "−", found.text(form)).replace("-", "")
            rows.append(f"| {what} | {measured} {unit} | {f'{limit:g} {unit}' if limit else ''} | {met} | {found.n} |")

    for probe in (key for key, value in PROBES.items() if value.data == "mnist"):
        peaks = [
            max(result["peak_memory_bytes"] - result["shared_data_bytes"] for result in sample["results"]) / 1e6
            for sample in raw["samples"]
            if sample["system"] == OURS_PACKED and sample["probe"] == probe
        ]
        row(f"Memory of one worker beyond the shared data, {probe}", peaks, 600, "MB", ".0f")
    for probe in PROBES:
        use = {use["cache"]: use for use in raw["first_use"] if use["probe"] == probe}
        if len(use) == 2 and "command_seconds" in use["empty"]:
            what = f"Compiling kernels at first use, {probe}"
            row(what, [use["empty"]["command_seconds"] - use["warm"]["command_seconds"]], FIRST_USE_SECONDS, "s", ".2f")
    whole = [study for study in raw["studies"] if study["study"] == "c-regularization"]
    if whole:
        one = whole[0]
        size = f"{one['num_arms']} arms, {one['num_runs']} runs of {'/'.join(map(str, one['epochs']))} epochs"
        failed = one["num_runs"] - one["num_finished"]
        size += f", {failed} of them failed" if failed else ""
        row(f"`assay run c-regularization`, whole command: {size}", [one["command_seconds"]], 150, "s", ".0f")
    quick = [study for study in raw["studies"] if study["study"] == "mnist-99"]
    if quick:
        accuracy = fmean(study["validation_accuracy"] for study in quick)
        what = f"One training of `mnist-99` alone on all cores, to a validation accuracy of {percent(accuracy, 2)}"
        one = thread_counts(raw)[0] if raw["roofline"] else ""
        copies = ceiling(raw, one, "copy_gigabytes_per_second") if one else None
        is_fast = copies is not None and copies.middle >= FAST_COPY
        limit = MNIST_SECONDS if is_fast else MNIST_SECONDS_SLOW
        row(what, (study["run_seconds"] for study in quick), limit, "s", ".2f")
    if not rows and not raw["notes"]:
        return ""
    table = [*head("what", "measured", "limit", "", "n"), *rows] if rows else []
    notes = [f"- {note}" for note in dict.fromkeys(raw["notes"])]
    intro = [_FIRST_USE, ""] if any(raw["first_use"]) and rows else []
    space = [""] if rows and notes else []
    return "\n".join(["## Memory, first use and whole commands", "", *intro, *table, *space, *notes])


def _systems(raw: Raw) -> str:
    blocks = [
        "## Every system",
        "*Processes x threads* says how a system ran; times of processes side by side are shared among them. *Images "
        "scaled up*: it trained on so few, and its time is scaled. *MB* is the largest process's peak memory. *Times "
        "ours* compares with Assay's runs side by side.",
    ]
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
            names = ("system", "processes x threads", "precision", "s per run and epoch", "times ours", "MB", "n")
            title = f"### {key}: {probe.name}, {probe.data}, batch {probe.batch_size}, {probe.optimizer}"
            blocks.append("\n".join([title, "", *head(*names), *rows]))
    heats = _heats(raw)
    return "\n\n".join([*blocks, *([heats] if heats else [])]) if len(blocks) > 2 else ""


def _heats(raw: Raw) -> str:
    rows = []
    for rival in RIVALS:
        for probe in PROBES:
            tried = [heat for heat in raw["heats"] if heat["system"] == rival.name and heat["probe"] == probe]
            if tried:
                times = ", ".join(f"{_variant(heat)} {run_epoch_seconds(heat):.2f}" for heat in tried)
                left_out = "" if by_round(raw, rival.name, probe) else "left out"
                rows.append(f"| {rival.title} | {probe} | {times} | {left_out} |")
    if not rows:
        return ""
    intro = (
        "Each variant is first tried once on few images, in each precision. A rival's fastest goes into the rounds, "
        f"unless another rival's took less than 1/{SLOWER:g} of its time. Seconds per run for {EPOCH:,} images, n = 1."
    )
    return "\n".join(["### Variants tried", "", intro, "", *head("system", "probe", "variants", ""), *rows])


def _variant(heat: Raw) -> str:
    return f"{heat['variant']} {heat['results'][0]['precision']}"


def _roofline(raw: Raw) -> str:
    if not raw["roofline"]:
        return ""
    measures = (
        ("matmul_float32_gflops", "Matrix product, float32", "GFLOP/s"),
        ("matmul_bfloat16_gflops", "Matrix product, bfloat16", "GFLOP/s"),
        ("copy_gigabytes_per_second", "Copy, read and written", "GB/s"),
    )
    threads = thread_counts(raw)
    rows = []
    for name, what, unit in measures:
        if not _is_used(raw, name):
            continue
        cells = [f"{found.text('.0f')} {unit}" for count in threads if (found := ceiling(raw, count, name))]
        rows.append(f"| {what} | {' | '.join(cells)} |")
    for precision in ("float32", "bfloat16"):
        found = Spread.of(one["registers"][precision] for one in raw["roofline"] if one.get("registers"))
        if found:
            cells = [f"{found.text('.0f')} GFLOP/s", *[""] * (len(threads) - 1)]
            rows.append(f"| Multiply-adds from registers, {precision} | {' | '.join(cells)} |")
    columns = (f"{count} thread{'s' if count != '1' else ''}" for count in threads)
    intro = "The most that the machine gives, measured in the same rounds: what a step is compared with above."
    return "\n".join(["## Ceilings of the machine", "", intro, "", *head("ceiling", *columns), *rows])


def _method(raw: Raw) -> str:
    overlaps = [sample["overlap"] for sample in raw["samples"] if "overlap" in sample]
    loads = [sample["load_before"] for sample in raw["samples"]]
    lines = ["## How it was measured", ""]
    lines.append("[benchmarks/README.md](../../benchmarks/README.md) says what is measured, how, and what is not.")
    if overlaps:
        lines.append(
            f"Assay's runs side by side were all busy for at least {percent(min(overlaps))} of what was timed."
        )
    if loads:
        lines.append(
            f"The machine's load before a sample was {min(loads):.1f} to {max(loads):.1f}, median {median(loads):.1f}."
        )
    if "total_seconds" in raw:
        lines.append(f"The whole benchmark took {raw['total_seconds'] / 60:.0f} minutes.")
    return "\n".join(lines)


def write(path: Path, folder: Path, name: str | None = None) -> tuple[Path, Path]:
    """Read the raw samples, write table and chart into the folder, return their paths.

    Args:
        path: The samples.
        folder: Of the page.
        name: Of a page of its own, for another kind of machine.
    """
    raw = json.loads(path.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    target = raw.get("target", "native")
    stem = "-".join(["benchmarks", *([target] if target != "native" else []), *([name.lower()] if name else [])])
    page, figure = folder / f"{stem}.md", folder / f"{stem}.svg"
    source = path.resolve()
    link = f"../../benchmarks/results/{path.name}" if source.parent.name == "results" else path.name
    page.write_text(markdown(raw, link, figure.name, name))
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
