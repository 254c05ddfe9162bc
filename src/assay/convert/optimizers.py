"""A Keras optimizer as a study's: its name, its numbers, clipping and averaging."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..nets.keras import short
from ..spec.training import DEFAULTS

# Keras's Muon is another one than ours: for dense kernels alone, with steps of another length.
FORMULAS = {name: settings for name, settings in DEFAULTS.items() if name != "muon"}
# Optimizers without a formula here, and the nearest one that there is.
_NEAREST = {
    "nadam": "adam", "adamax": "adam", "lamb": "adam", "ftrl": "adam", "adafactor": "adam", "adagrad": "adadelta",
    "lion": "adamw", "muon": "adamw", "schedulefreeadamw": "adamw",
}  # fmt: skip
_CLIPS = {"clipnorm": "clip_norm", "global_clipnorm": "global_clip_norm", "clipvalue": "clip_value"}
_HANDLED = {
    "name", "learning_rate", "lr", "ema_momentum", "use_ema", "weight_decay", "jit_compile", "is_legacy_optimizer",
    *_CLIPS,
}  # fmt: skip
_WITHOUT_EFFECT: Mapping[str, tuple[Any, ...]] = {
    "amsgrad": (False,), "ema_overwrite_frequency": (None,), "loss_scale_factor": (None, 1.0),
    "gradient_accumulation_steps": (None, 1), "decay": (None, 0, 0.0),
}  # fmt: skip


def optimizer_of(name: str, config: Mapping[str, Any], rate: float, place: str) -> tuple[dict[str, Any], list[str]]:
    """Settings of ``spec.Training`` (``optimizer``, clipping, averaging), and what they leave out.

    Args:
        name: The optimizer's class.
        config: As its ``get_config`` gives it.
        rate: Its learning rate before the first step.
        place: Where it was made.
    """
    notes: list[str] = []
    kind = name.lower()
    decay = config.get("weight_decay")
    if kind not in FORMULAS:
        nearest = _NEAREST.get(kind, "adam")
        lack = "has no formula here"
        if kind == "muon":
            lack = "takes dense kernels alone, and steps of another length than muon here"
        notes.append(f"{place}: the optimizer {name} {lack}; {nearest} with its learning rate is written.")
        values: dict[str, Any] = {"name": nearest, "learning_rate": rate}
        return {"optimizer": values, **_around(config, notes, place)}, notes
    if kind == "adam" and decay:
        kind = "adamw"  # Keras decouples the decay in every optimizer, so Adam with one is AdamW
    values = {"name": kind, "learning_rate": rate}
    for key, default in DEFAULTS[kind].items():
        if key in config and key != "learning_rate" and config[key] is not None and config[key] != default:
            values[key] = config[key]
    if kind == "adamw" and not decay:
        values["weight_decay"] = 0.0
    if decay and "weight_decay" not in DEFAULTS[kind]:
        notes.append(f"{place}: {name} decays its weights by {decay:g}; {kind} has no decay here (adamw has).")
    for key, usual in _WITHOUT_EFFECT.items():
        if key in config and config[key] not in usual:
            notes.append(f"{place}: {name} has {key} = {short(config[key])}, which has no word here.")
    known = {*_HANDLED, *_WITHOUT_EFFECT, *DEFAULTS[kind]}
    more = [
        f"{key} = {short(value)}" for key, value in config.items() if key not in known and value not in (None, False)
    ]
    if more:
        notes.append(f"{place}: {name} has {', '.join(more)}, which has no word here.")
    return {"optimizer": values, **_around(config, notes, place)}, notes


def _around(config: Mapping[str, Any], notes: list[str], place: str) -> dict[str, Any]:
    """Clipping and averaging, which stand beside the optimizer here."""
    settings = {word: float(config[key]) for key, word in _CLIPS.items() if config.get(key)}
    if config.get("use_ema"):
        settings["ema_momentum"] = float(config.get("ema_momentum") or 0.99)
    return settings
