"""A captured model: the study that it makes, what was taken over and what could not be."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ..convert.draft import Draft
from ..data import arrays
from ..errors import Problem, SpecError, nearest
from ..markup import facts, sentences
from ..numerals import counted
from ..spec import Study
from ..spec.training import Optimizer, Training

Run = Callable[..., Any]


class Captured:
    """One model or search that a notebook trained, as :func:`assay.captured` returns it. Print it for a summary.

    Args:
        draft: What was recorded.
        run: Trains a study.
        factors: What is varied, with its levels.
    """

    def __init__(self, draft: Draft, run: Run, factors: Mapping[str, Sequence[Any]] | None = None) -> None:
        self._draft, self._run = draft, run
        self._factors = dict(factors or {})

    @property
    def name(self) -> str:
        """The model's name."""
        return self._draft.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be taken over unchanged: one sentence each, with cell and line."""
        return tuple(self._draft.notes)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why the model cannot be a study; empty if it can."""
        return self._draft.problems

    @cached_property
    def study(self) -> Study:
        """The study. Arrays that belong to no known data set are copied to the cache.

        Raises:
            SpecError: The model cannot be a study. There is one problem for each reason.
        """
        if self.problems:
            raise SpecError(self.problems)
        values = self._varied()
        values["data"] = {**values["data"], **self._kept()}
        question = f"How well does {self.name} do?"
        if self._factors:
            question = f"Which {' and '.join(self._factors)} is best?"
        elif "search" in values:
            question = "Which network of the space is best?"
        return Study.of({"name": _plain(self.name), "question": question, **values})

    def _kept(self) -> dict[str, Any]:
        kept = self._draft.arrays
        if not kept:
            return {}
        test = (kept["x_test"], kept["y_test"]) if "x_test" in kept else None
        data = arrays(kept["x_train"], kept["y_train"], test=test, classes=self._draft.classes, name=_plain(self.name))
        return {"name": data.name, "content": data.content}

    def vary(self, **factors: Sequence[Any]) -> Captured:
        """Return the same study with some settings as factors: ``vary(dropout=[0, 0.5], learning_rate=[1e-3, 3e-4])``.

        Args:
            factors: Levels by name: ``dropout`` (the rate of every dropout layer; if there is none, one is added before
                the last layer), ``activation`` (of the hidden layers), a setting of the optimizer such as
                ``learning_rate``, or a setting of ``[training]`` such as ``batch_size``. Several factors are crossed.

        Raises:
            SpecError: A name is none of these, or the model cannot be a study.
        """
        if self.problems:
            raise SpecError(self.problems)
        varied = Captured(
            self._draft, self._run, {**self._factors, **{name: list(levels) for name, levels in factors.items()}}
        )
        varied._varied()
        return varied

    def run(self, *, seeds: int | None = None, **options: Any) -> Any:
        """Train the study and return its :class:`assay.Result`, as :func:`assay.run` does.

        Args:
            seeds: Seeds of each arm; the study's default if ``None``.
            options: Options of :func:`assay.run`, such as ``store``, ``workers`` and ``device``.

        Raises:
            SpecError: The model cannot be a study.
        """
        study = self.study if seeds is None else self.study.with_seeds(seeds)
        return self._run(study, **options)

    def _varied(self) -> dict[str, Any]:
        """The values with placeholders for what is varied."""
        values = {key: dict(value) for key, value in self._draft.values.items()}
        training = values["training"]
        for name in self._factors:
            if name == "dropout":
                values["network"]["layers"] = _with_dropout(values["network"]["layers"])
            elif name == "activation":
                values["network"]["layers"] = _with_activation(values["network"]["layers"])
            elif name in Training.model_fields and name != "optimizer":
                training[name] = f"{{{name}}}"
            elif name in Optimizer.model_fields and name != "name":
                training["optimizer"] = {**training.get("optimizer", {}), name: f"{{{name}}}"}
            elif name == "optimizer":
                training["optimizer"] = "{optimizer}"
            else:
                known = ["dropout", "activation", *Training.model_fields, *(set(Optimizer.model_fields) - {"name"})]
                raise SpecError(Problem(f'"{name}" cannot be varied', nearest(name, known), name))
        if self._factors and "search" in values:
            what = "a search draws its own space"
            raise SpecError(Problem(what, "run it as it is, or write factors into a study file", "vary"))
        if self._factors:
            values["factors"] = dict(self._factors)
        return values

    def _facts(self) -> list[tuple[str, str]]:
        if not self._draft.values:
            return []
        training, data = self._draft.values["training"], self._draft.values["data"]
        optimizer = training.get("optimizer", {})
        lines = self._draft.values["network"]["layers"]
        size = f", {counted(self._draft.parameters, 'parameter')}" if self._draft.parameters is not None else ""
        kept = self._draft.arrays
        arrays = f"{counted(len(kept['x_train']), 'image')}, kept as arrays" if kept else ""
        images = arrays or data.get("name") or data.get("path", "")
        space = self._draft.values.get("search", {}).get("space", {})
        numbers = ", ".join(f"{key} {value:g}" for key, value in optimizer.items() if isinstance(value, float))
        other = {key: value for key, value in training.items() if key not in ("optimizer", "epochs", "batch_size")}
        epochs = counted(training.get("epochs", 10), "epoch")
        return [
            ("fitted in", self._draft.place),
            ("data", str(images)),
            ("network", f"{counted(len(lines), 'layer')}{size}"),
            ("optimizer", f"{optimizer.get('name', 'adam')}{f' ({numbers})' if numbers else ''}"),
            ("training", f"{epochs} in batches of {training.get('batch_size', 128)}"),
            *((key, _shown(value)) for key, value in other.items()),
            *([("search", ", ".join(space))] if space else []),
            *((f"factor {name}", ", ".join(map(str, levels))) for name, levels in self._factors.items()),
        ]

    def __repr__(self) -> str:
        lines = [f"Captured {self.name}"]
        lines += [f"  {key}: {value}" for key, value in self._facts()]
        lines += [f"  no study: {problem}" for problem in self.problems]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        problems = [f"No study: {problem}" for problem in self.problems]
        return facts(f"Captured {self.name}", self._facts()) + sentences([*problems, *self.notes])


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80] or "captured"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_dropout(lines: Sequence[Any]) -> list[Any]:
    placed = [_replaced(line, r"^(spatialdropout|dropout) [\d.]+", r"\1 {dropout}") for line in lines]
    if placed == list(lines):
        return [*lines[:-1], "dropout {dropout}", lines[-1]]
    return placed


def _with_activation(lines: Sequence[Any]) -> list[Any]:
    words = r"\b(relu6|relu|elu|gelu|silu|tanh|leakyrelu|sigmoid)\b"
    return [*(_replaced(line, words, "{activation}") for line in lines[:-1]), lines[-1]]


def _replaced(line: Any, pattern: str, text: str) -> Any:
    if isinstance(line, str):
        return re.sub(pattern, text, line)
    if isinstance(line, Mapping):
        return {key: _replaced(value, pattern, text) for key, value in line.items()}
    return [_replaced(one, pattern, text) for one in line] if isinstance(line, list | tuple) else line
