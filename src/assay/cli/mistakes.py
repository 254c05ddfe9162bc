"""Natural mistakes on the command line, and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from ..errors import Problem, nearest

# What other tools call a command, and what people try first.
SYNONYMS = {
    "train": "run", "fit": "run", "start": "run", "resume": "run", "continue": "run", "search": "run", "tune": "run",
    "new": "init", "create": "init", "evaluate": "reveal", "eval": "reveal", "test": "reveal", "score": "reveal",
    "show": "status", "list": "status", "ls": "status", "results": "status", "verdict": "compare", "diff": "compare",
    "plot": "report", "html": "report", "summary": "describe", "flops": "describe",
    "classify": "predict", "infer": "predict", "import": "convert", "keras": "convert", "capture": "convert",
    "onnx": "export", "save": "export", "ui": "serve", "web": "serve", "dashboard": "serve", "page": "serve",
    "download": "data", "fetch": "data", "datasets": "data", "check": "doctor", "repair": "doctor",
}  # fmt: skip

# Settings that are no options of assay run: they stand in the study file, where they belong to the result.
SETTINGS = {
    "epochs": "epochs = 10 under [training]",
    "batch-size": "batch_size = 128 under [training]",
    "batch_size": "batch_size = 128 under [training]",
    "lr": 'optimizer = { name = "adam", learning_rate = 1e-3 } under [training]',
    "learning-rate": 'optimizer = { name = "adam", learning_rate = 1e-3 } under [training]',
    "learning_rate": 'optimizer = { name = "adam", learning_rate = 1e-3 } under [training]',
    "optimizer": 'optimizer = "adam" under [training]',
    "precision": 'precision = "float32" under [training]',
    "data": 'name = "mnist" or path = "your-images" under [data]',
    "dataset": 'name = "mnist" or path = "your-images" under [data]',
    "validation": "validation = 0.1 under [data]",
    "metric": 'metric = "balanced_accuracy" at the top',
    "seed": "start = 3 under [seeds]; --seeds 10 says how many",
    "dropout": 'a layer "dropout {dropout}", and dropout = [0.0, 0.5] under [factors]',
}

# Options that other tools or commands have, by the command that lacks them, and what to write instead.
OPTIONS = {
    (command, name): instead
    for command, names, instead in (
        ("report", "format form", "--pdf, --notebook, --markdown or --latex; without one it writes HTML"),
        ("status", "format csv", "--json; assay runs STUDY --csv prints every run as a table"),
        ("compare", "format csv", "--json; assay runs STUDY --csv prints every run as a table"),
        ("run", "j jobs n n-jobs parallel num-workers", "--workers 2"),
        ("run", "gpu gpus cuda", "--device cuda"),
        ("reveal", "y", "--yes"),
        ("reproduce", "y", "--yes"),
        ("robustness", "y", "--yes"),
        ("export", "f", "--format"),
        ("predict", "i image images input", "the names of the pictures without an option"),
    )
    for name in names.split()
}


def no_command(word: str, commands: Mapping[str, str]) -> str:
    """What to say of a word that is no command.

    Args:
        word: As it was written.
        commands: Every command, with what it does.
    """
    what = f'there is no command "{word}"'
    if word.lower() in SYNONYMS:
        command = SYNONYMS[word.lower()]
        return f'{what}; did you mean "{command}"? {commands[command]}'
    if word.endswith(".toml") or Path(word).is_file():
        return f"{what}; to run a study file, write assay run {word}."
    return str(Problem(what, nearest(word, list(commands))))


def instead_of(error: click.NoSuchOption) -> str:
    """What to write instead of an option that a command does not have; empty where nobody knows."""
    name = error.option_name.lstrip("-").lower()
    command = "" if error.ctx is None else error.ctx.info_name or ""
    if command == "run" and name in SETTINGS:
        return f"{error.option_name} is no option but a setting of the study: write {SETTINGS[name]} in its file."
    if (command, name) in OPTIONS:
        return f"{error.option_name} is no option of assay {command}; write {OPTIONS[command, name]}."
    return ""
