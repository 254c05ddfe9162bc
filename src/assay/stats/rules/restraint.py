"""Rules about what holds training back on purpose, and can hold it back too much."""

from __future__ import annotations

from ...numerals import percent
from ..curves import Curves
from ..diagnosis import Diagnosis

ALL = 0.95  # where so many units of a layer are dead, that is what keeps a network from learning


def strong_decay(curves: Curves) -> Diagnosis | None:
    """A kernel under weight decay has lost a third of its initial norm or more, and training images are not learned."""
    health = curves.last_health
    if health is None or not curves.protocol.decay or curves.has_learned or not curves.is_measured:
        return None
    name, share = (health.get("kernels") or {}).get("shrunk", ("", 1.0))
    if share > 2 / 3:
        return None
    settings = ", ".join(curves.protocol.decay)
    return Diagnosis(
        "weight decay too strong",
        f"with {settings} {name} has {percent(share, 0)} of its initial size, and the training loss ends at "
        f"{curves.row('train_loss')[-1]:.3g}",
        "lower l1, l2 or weight_decay tenfold, or leave it out",
        'Krogh and Hertz (1991), "A simple weight decay can improve generalization"; two thirds: measured',
    )


def strong_dropout(curves: Curves) -> Diagnosis | None:
    """Training images are not learned, and with dropout on the network is much worse than without."""
    return _held_back(
        curves,
        "dropout",
        bool(curves.protocol.dropout),
        f"with dropout {curves.protocol.dropout:g} on",
        "lower the dropout rate (0.5 is the largest in common use), or widen the layers behind it",
        'Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014), "Dropout", section 7.3',
    )


def strong_augmentation(curves: Curves) -> Diagnosis | None:
    """Training images are not learned, and augmented ones are classified much worse than they are as stored."""
    return _held_back(
        curves,
        "augmented",
        bool(curves.protocol.augmentation),
        f"augmented ({', '.join(curves.protocol.augmentation)})",
        "augment less, one kind at a time, and look at augmented images: can you still tell their class?",
        'Shorten and Khoshgoftaar (2019), "A survey on image data augmentation for deep learning", section on safety',
    )


def _held_back(curves: Curves, measure: str, is_on: bool, condition: str, advice: str, source: str) -> Diagnosis | None:
    health = curves.last_health
    if health is None or not is_on or curves.has_learned or not curves.is_measured or measure not in health:
        return None
    varied, plain = health[measure], health["loss"]
    drop = health["accuracy"] - varied["accuracy"]
    is_worse = drop > 0.25 or (drop > 0.1 and varied["loss"] > 1.3 * plain)
    is_guess = (
        curves.is_stuck
        and varied["accuracy"] < curves.common_share + 0.08
        and max(health["dead"].values(), default=0.0) < ALL
        and (measure == "augmented" or curves.protocol.dropout >= 0.7)
    )
    if not (is_worse or is_guess):
        return None
    return Diagnosis(
        "dropout too strong" if measure == "dropout" else "augmentation too strong",
        f"of {health['images']} training images {percent(health['accuracy'], 0)} are right as they are (loss "
        f"{plain:.3g}), and "
        f"{percent(varied['accuracy'], 0)} {condition} (loss {varied['loss']:.3g})",
        advice,
        source,
    )
