"""Provenance tables: versions, machines, seeds, data, looks at the test split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...numerals import counted, moment
from ...spec import own_calls
from ...store.parts import parts_of
from ...store.records import StudyRecord
from .table import Column, Table, line

_NAMES = {  # of what a run records of its environment
    "versions python": "Python",
    "python": "Python",
    "versions assay": "Assay that trained",
    "versions torch": "PyTorch",
    "versions numpy": "NumPy",
    "machine system": "Operating system",
    "machine processor": "Processor",
    "machine cores": "Processor cores",
    "machine bfloat16": "Processor multiplies bfloat16",
    "device": "Trained on",
    "cuda name": "CUDA device",
    "cuda version": "CUDA version",
    "path": "Trained by",
    "precision": "Precision of training",
    "products": "Products of bfloat16",
    "threads": "Threads per run",
    "fallback": "Why Assay's kernels did not train",
}
_VALUES = {
    ("device", "cpu"): "the processor",
    ("device", "cuda"): "a CUDA device",
    ("path", "fused"): "Assay's compiled kernels",
    ("path", "plain"): "PyTorch's layers",
    ("path", "cuda"): "PyTorch on the CUDA device",
    ("products", "tiles"): "in tiles (Intel's AMX)",
    ("products", "vectors"): "in vectors",
    ("machine bfloat16", "True"): "yes",
    ("machine bfloat16", "False"): "no",
}


def provenance_table(study: StudyRecord, *, version: str) -> Table:
    """The provenance of the study's numbers: versions, machine, seeds and data."""
    if study.source:
        return _elsewhere(study, version)
    started = [run.started for run in study.runs if run.started is not None]
    finished = [run.finished for run in study.runs if run.finished is not None]
    seeds = sorted({run.seed for run in study.runs})
    facts: list[tuple[str, str]] = [
        ("Study", study.name),
        ("First run started", moment(min(started, default=None))),
        ("Last run finished", moment(max(finished, default=None))),
        ("Seeds", _ranges(seeds) or "–"),
        ("What a seed changes", ", ".join(study.design.seeds.vary) or "–"),
        *(fact for name, part in parts_of(study).items() for fact in _data(part, f" ({name})" if name else "")),
        *_left_out(study),
        *_own_code(study),
        ("Report made by", f"assay {version}"),
    ]
    facts += _environment(study)
    rows = tuple(line(name, value) for name, value in facts)
    columns = (Column("what", is_number=False), Column("value", is_number=False))
    return Table("Where these numbers come from.", columns, rows)


def _data(study: StudyRecord, which: str) -> tuple[tuple[str, str], ...]:
    """A data set's facts.

    Args:
        study: The study on it.
        which: What follows each fact's name, where there are several data sets.
    """
    reading = study.design.data.reading
    return (
        (f"Data{which}", str(study.data.get("title") or study.data.get("name", "–"))),
        (f"Data content (SHA-256){which}", str(study.data.get("content", "–"))),
        (f"Pictures, in training and later{which}", reading.description(*study.data["shape"])),
    )


def _elsewhere(study: StudyRecord, version: str) -> Table:
    """Where scores come from that Assay did not train."""
    facts = [
        ("Source", study.source),
        ("Data", str(study.data.get("title") or "not named")),
        ("Seeds", _ranges(sorted({run.seed for run in study.runs})) or "–"),
        ("Trained by", "code of its own, which Assay has not seen"),
        ("Report made by", f"assay {version}"),
    ]
    columns = (Column("what", is_number=False), Column("value", is_number=False))
    return Table("Where these numbers come from.", columns, tuple(line(name, value) for name, value in facts))


def _own_code(study: StudyRecord) -> list[tuple[str, str]]:
    """The modules of the user's own, each once, with the content of their code."""
    codes: dict[str, str] = {}
    for arm in study.arms:
        for key, call in own_calls(arm.design):
            if call.source is None:
                continue
            kind = "module" if key.startswith("layers") else key.removesuffix(".own").rpartition(".")[2]
            hidden = ", and where it is not at hand its layers are not shown" if kind == "module" else ""
            codes[f"Own {kind}, {Path(call.file).name}:{call.name}"] = (
                f"SHA-256 {call.source}. The user's own code, imported from the folder of the study file; the store "
                f"does not hold it{hidden}."
            )
    return list(codes.items())


def looks_table(study: StudyRecord) -> Table:
    """Each look at the test split."""
    rows = tuple(
        line(str(number), moment(look.time), str(look.num_runs), str(look.num_new))
        for number, look in enumerate(study.looks, start=1)
    )
    columns = (Column("look", is_number=False), Column("when", is_number=False), Column("runs"), Column("scored anew"))
    others = study.looks_elsewhere
    note = f" Other studies in this store have looked at these test images {counted(others, 'time')}." if others else ""
    return Table(f"Looks at the test split.{note}", columns, rows)


def _environment(study: StudyRecord) -> list[tuple[str, str]]:
    """Every fact of the runs' environments once, in words; where runs differ, each value with its number of runs."""
    seen: dict[str, Counter[str]] = {}
    for run in study.runs:
        for key, value in flat(machine_facts(run.environment)):
            seen.setdefault(key, Counter())[_VALUES.get((key, value), value)] += 1
    return [
        (
            _NAMES.get(key, key[:1].upper() + key[1:]),
            next(iter(values))
            if len(values) == 1
            else "; ".join(f"{value} ({counted(n, 'run')})" for value, n in values.most_common()),
        )
        for key, values in seen.items()
    ]


def machine_facts(environment: Mapping[str, Any]) -> dict[str, Any]:
    """A run's environment without what is each run's own: its energy, and how many images it left out."""
    return {key: value for key, value in environment.items() if key not in ("energy", "left_out")}


def _left_out(study: StudyRecord) -> list[tuple[str, str]]:
    """How many training images runs left out as doubtful, by arm."""
    rows = []
    for arm in study.arms:
        counts = [int(n) for run in study.runs_of(arm.name) if (n := run.environment.get("left_out")) is not None]
        if counts:
            least, most = min(counts), max(counts)
            text = f"{least:,}" if least == most else f"{least:,} to {most:,} a run"
            rows.append((f"Training images left out as doubtful ({arm.name})", text))
    return rows


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as pairs of a name and a text."""
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            pairs += flat(value, f"{name} ")
        elif isinstance(value, list | tuple):
            pairs.append((name, ", ".join(map(str, value))))
        else:
            pairs.append((name, str(value)))
    return pairs


def _ranges(numbers: list[int]) -> str:
    """0, 1, 2, 5 as ``0 to 2, 5``."""
    groups: list[list[int]] = []
    for number in numbers:
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(group[0]) if len(group) == 1 else f"{group[0]} to {group[-1]}" for group in groups)
