"""How a model in a file was compiled: plain values, of which nothing is run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import Problem, SpecError
from ..nets.keras import short
from .compiled import Compiled
from .losses import Loss
from .optimizers import FORMULAS

_DIGITS = 7  # of a float32
_NUMBERS = {name for settings in FORMULAS.values() for name in settings} | {
    "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "ema_momentum",
}  # fmt: skip


def compiled_of_config(value: Any, *, file: str, policy: str) -> tuple[Compiled, dict[str, Any]] | None:
    """How the model was compiled, and its schedule as a study has it; ``None`` where it was not.

    Args:
        value: ``compile_config`` of a ``.keras`` file, or ``training_config`` of an ``.h5`` file.
        file: What notes begin with.
        policy: The model's dtype policy.

    Raises:
        SpecError: A number of its optimizer is none.
    """
    if not isinstance(value, Mapping) or not value:
        return None
    optimizer = value.get("optimizer") or value.get("optimizer_config")
    notes: list[str] = []
    name, config = "Adam", dict[str, Any]()
    if isinstance(optimizer, str):
        name = optimizer
    elif isinstance(optimizer, Mapping):
        name, config = _named(optimizer)
        if isinstance(
            inner := config.get("inner_optimizer"), Mapping
        ):  # one that scales losses for float16 is around it
            name, config = _named(inner)
    else:
        notes.append(f"{file}: the file names no optimizer; adam is written.")
    plain = {key: _plain(key, one, file) for key, one in config.items() if not isinstance(one, Mapping | list)}
    rate, schedule = config.get("learning_rate", config.get("lr")), dict[str, Any]()
    if isinstance(rate, Mapping):
        rate, schedule, more = _schedule(rate, file)
        notes += more
    kind = name.rpartition(">")[2].lower()
    usual = FORMULAS.get(kind, {}).get("learning_rate", 0.001)
    number = _number(rate) if rate is not None else float(usual)
    if number is None or number <= 0:
        raise SpecError(Problem(f"its learning rate is {short(rate)}", "compile the model anew", "optimizer", file))
    for key in ("loss_weights", "weighted_metrics"):
        if value.get(key):
            notes.append(f"{file}: compile has {key} = {short(value[key])}, which has no word here.")
    compiled = Compiled(
        file, name.rpartition(">")[2][:40], plain, number, None, "", _objects(value.get("loss")),
        _objects(value.get("metrics")), policy, tuple(notes),
    )  # fmt: skip
    return compiled, schedule


def _named(value: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    config = value.get("config")
    return str(value.get("class_name")), dict(config) if isinstance(config, Mapping) else {}


def _plain(key: str, value: Any, file: str) -> Any:
    if key not in _NUMBERS or value is None or isinstance(value, bool):
        return value
    number = _number(value)
    if number is None:
        raise SpecError(
            Problem(f"its optimizer's {key} is {short(value)}", "compile the model anew", "optimizer", file)
        )
    return number


def _number(value: Any) -> float | None:
    """A finite number, with as many digits as a float32 has."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e30 or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def _objects(value: Any, depth: int = 0) -> Any:
    """Losses or metrics by name and settings."""
    if depth > 4:
        return None
    if isinstance(value, list):
        return [_objects(one, depth + 1) for one in value]
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else None
    if "class_name" not in value:
        return {str(key): _objects(one, depth + 1) for key, one in value.items()}
    settings = value.get("config")
    if isinstance(settings, str):  # a function, by its name
        return settings
    return Loss(str(value["class_name"])[:60], settings if isinstance(settings, Mapping) else {})


def _schedule(value: Mapping[str, Any], file: str) -> tuple[Any, dict[str, Any], list[str]]:
    """The first rate of a serialized schedule, the study's schedule, and what is otherwise."""
    kind, config = str(value.get("class_name"))[:40], value.get("config")
    config = config if isinstance(config, Mapping) else {}
    first = config.get("initial_learning_rate")
    steps = config.get("decay_steps")
    if kind == "CosineDecay" and _number(first) is not None and not config.get("warmup_target"):
        final = _number(config.get("alpha", 0.0)) or 0.0
        note = f"{file}: the cosine ends after {short(steps)} steps; here it ends with training."
        return first, {"name": "cosine", **({"final": final} if 0 < final <= 1 else {})}, [note]
    if kind == "ExponentialDecay" and _number(first) is not None:
        factor = config.get("decay_rate")
        word = 'schedule = { name = "exponential", factor = ... }'
        what = f"the rate is multiplied by {short(factor)} every {short(steps)} steps"
        return first, {}, [f"{file}: {what}, and how many an epoch has is not known: write {word} for each epoch."]
    rates = config.get("values")
    if first is None and isinstance(rates, list) and rates:
        first = rates[0]
    shown = ", ".join(f"{key} {short(one)}" for key, one in config.items() if key != "name" and one is not None)
    note = f"{file}: the schedule {kind} ({shown[:120]}) counts steps, and is left out; its first rate is written."
    return first, {}, [note]
