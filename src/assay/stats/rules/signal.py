"""Rules about what passes through a network's layers: values forward, gradients backward, statistics beside them."""

from __future__ import annotations

import math

from ...numerals import counted, percent
from ..curves import Curves
from ..diagnosis import Diagnosis, Kind


def stale_statistics(curves: Curves) -> Diagnosis | None:
    """Evaluation mode is worse than training by 10 points, or has three times the loss: moving averages lag behind.

    With batch normalization: accuracy with the statistics of the images themselves beside the moving ones. With
    averaged weights: the last epoch's running accuracy beside that after it.
    """
    health, protocol = curves.last_health, curves.protocol
    if health is None or not curves.is_measured:
        return None
    steps, recomputed = health.get("steps", 0), health.get("recomputed")
    if recomputed is not None:
        gain = recomputed["accuracy"] - health["accuracy"]
        costs = gain >= 0.1 and health["loss"] > 1.25 * recomputed["loss"]
        if costs or health["loss"] > max(3 * recomputed["loss"], 0.15 * curves.guessing_loss):
            momentum = protocol.norm_momentum or 0.99
            return Diagnosis(
                "stale moving statistics",
                f"of {health['images']} training images {percent(health['accuracy'], 0)} are right (loss "
                f"{health['loss']:.3g}) with batch norm's moving statistics after {counted(steps, 'step')}, and "
                f"{percent(recomputed['accuracy'], 0)} ({recomputed['loss']:.3g}) with statistics of these "
                "images; momentum "
                f"{momentum:g} forgets 99 % of its past in {_steps_to_forget(momentum)} steps",
                "train for more steps, lower the momentum (batchnorm momentum=0.9), or let the learning rate fall at "
                "the end: the network itself may be sound",
                'Ioffe and Szegedy (2015), "Batch normalization", section 3.1; 10 points: measured',
            )
    running = curves.row("running_accuracy")
    if protocol.average_momentum and len(running):
        gain = float(running[-1] - curves.row("train_accuracy")[-1])
        if gain >= 0.1:
            momentum = protocol.average_momentum
            return Diagnosis(
                "stale moving statistics",
                f"averaged weights (ema_momentum = {momentum:g}) get {percent(curves.row('train_accuracy')[-1], 0)} of "
                f"training images right after {counted(steps, 'step')}, and the weights themselves got "
                f"{percent(running[-1], 0)} in "
                f"the last epoch; the average forgets 99 % of its past in {_steps_to_forget(momentum)} steps",
                "lower ema_momentum, or train for more steps",
                'Polyak and Juditsky (1992), "Acceleration of stochastic approximation by averaging"; 10 points: '
                "measured",
            )
    return None


def bounded_scores(curves: Curves) -> Diagnosis | None:
    """The last softmax reads values that another activation has bounded, so that the loss cannot fall far.

    Scores from 0 to 1 leave a loss of ln(1 + (classes - 1) / e) at least.
    """
    activation = curves.protocol.bounded_scores
    if not activation:
        return None
    reach = {"tanh": 2.0, "relu6": 6.0}.get(activation, 1.0)
    least = math.log1p((curves.num_classes - 1) * math.exp(-reach))
    return Diagnosis(
        "bounded scores",
        f"the last softmax reads the values of {activation}: with {curves.num_classes} classes the loss cannot fall "
        f"below {least:.3g}",
        f'leave the {activation} out: end with "dense classes softmax"',
        'Goodfellow, Bengio and Courville (2016), "Deep Learning", section 6.2.2.3',
    )


def dead_units(curves: Curves) -> Diagnosis | None:
    """Nine tenths of a layer's units give the same value for every image; or half, and training images are not learned.

    A wide layer can do without half of its units.
    """
    if curves.has_learned and max((curves.last_health or {}).get("dead", {}).values(), default=0.0) < 0.9:
        return None
    return _units(
        curves,
        "dead",
        "dead units",
        "give the same value for every image",
        "lower the learning rate, or put batchnorm before the activation, or use leakyrelu",
        'Lu, Shin, Su and Karniadakis (2020), "Dying ReLU and initialization"; half and nine tenths: measured',
    )


def saturated_units(curves: Curves) -> Diagnosis | None:
    """Half of a bounded layer's units or more stay at their bounds."""
    return _units(
        curves,
        "saturated",
        "saturated units",
        "stay within 1 % of a bound",
        "lower the learning rate, put batchnorm before the activation, or use relu",
        'Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks"',
    )


def vanishing_gradients(curves: Curves) -> Diagnosis | None:
    """The first kernel's gradient, relative to its size, is below 3 % of the last's, and nothing is learned.

    A ReLU layer without living units passes no gradient either: that is told as dead units.
    """
    health = curves.last_health
    if health is None or not curves.is_stuck or "gradient" not in health:
        return None
    bounded = health["saturated"]
    if any(share >= 0.5 for layer, share in health["dead"].items() if layer not in bounded):
        return None
    if health["gradient"] >= 0.03:
        return None
    return Diagnosis(
        "vanishing gradients",
        f"relative to its size, the first kernel's gradient is {health['gradient']:.1g} times the last one's, and the "
        f"training loss ends at {curves.row('train_loss')[-1]:.3g} ({curves.prior_loss:.3g} for guessing)",
        "use relu, put batchnorm before the activations, add residual connections, or take layers away",
        'Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks"',
    )


def _steps_to_forget(momentum: float) -> int:
    """After how many steps 1 % of a moving average's past is left."""
    return math.ceil(math.log(0.01) / math.log(momentum)) if 0 < momentum < 1 else 1


def _units(curves: Curves, which: str, kind: Kind, what: str, advice: str, source: str) -> Diagnosis | None:
    health = curves.last_health
    if health is None:
        return None
    bad = {layer: share for layer, share in health[which].items() if share >= 0.5}
    if not bad:
        return None
    layers = ", ".join(f"{layer}: {percent(share, 0)}" for layer, share in bad.items())
    since = next(
        epoch
        for epoch in sorted(curves.health)
        if any(curves.health[epoch][which].get(layer, 0) >= 0.5 for layer in bad)
    )
    before = " or before" if since == min(curves.health) and since > 1 else ""
    return Diagnosis(kind, f"units that {what} ({layers}), since epoch {since}{before}", advice, source, since)
