"""Rules about the size and the noise of steps."""

from __future__ import annotations

import numpy as np

from ...numerals import counted, percent
from ..curves import Curves, smooth
from ..diagnosis import Diagnosis
from .data import MOVED, moved

SMALL = 8  # images a step


def diverged(curves: Curves) -> Diagnosis | None:
    """The loss stopped being a number, or ends at ten times that of guessing or more with nothing learned.

    Source: Goodfellow, Bengio and Courville (2016), section 8.2.4.
    """
    source = 'Goodfellow, Bengio and Courville (2016), "Deep Learning", section 8.2.4'
    advice = curves.advice or "lower the learning rate tenfold, or clip gradients (global_clip_norm = 1.0)"
    if curves.state == "diverged":
        return Diagnosis("diverged", curves.reason or "the loss was no longer a number", advice, source)
    guess = curves.guessing_loss
    if not curves.is_measured or curves.num_epochs < 2 or (end := float(curves.row("train_loss")[-1])) < 10 * guess:
        return None
    if curves.row("train_accuracy")[-1] > curves.common_share + 0.15:
        return None
    if _can_lag(curves) and curves.row("running_loss")[-1] < guess:
        return None
    return Diagnosis(
        "diverged",
        f"the training loss ends at {end:.3g}, {end / guess:.3g} times that of guessing ({guess:.3g})",
        advice,
        source,
    )


def small_batch(curves: Curves) -> Diagnosis | None:
    """Little is learned, with batch norm on four images a step or fewer, or the jumps of a rate on eight or fewer."""
    size, has_norm = curves.protocol.batch_size, curves.protocol.norm_momentum > 0
    if not 0 < size <= SMALL or not curves.is_measured:
        return None
    running = curves.row("running_loss")
    is_noisy = len(running) and running[-1] > max(0.3 * curves.guessing_loss, 2 * curves.row("train_loss")[-1])
    if has_norm and size <= SMALL // 2 and (is_noisy or not curves.has_learned):
        evidence = f"batch normalization takes its statistics from {counted(size, 'image')} a step"
        return Diagnosis(
            "batch too small",
            f"{evidence}, and the loss is {curves.row('train_loss')[-1]:.3g} with moving statistics"
            + (f", {running[-1]:.3g} with those of a step" if len(running) else ""),
            "use 16 images a step or more, or groupnorm or layernorm in place of batchnorm",
            'Wu and He (2018), "Group normalization", figure 1 (errors grow below 8 images a step)',
        )
    evidence, since = ("", None) if curves.has_learned else _unrest(curves)
    if not evidence and curves.is_stuck and moved(curves, 0.0) > MOVED and size <= SMALL // 2:
        evidence = (
            f"kernels moved by {percent(moved(curves, 0.0), 0)} of their size, and the training loss is "
            "that of guessing"
        )
    if not evidence:
        return None
    return Diagnosis(
        "batch too small",
        f"{evidence}, with {counted(size, 'image')} a step",
        "use 32 images a step or more, or lower the learning rate as many times as the batch is smaller",
        'Smith, Kindermans, Ying and Le (2018), "Don\'t decay the learning rate, increase the batch size", section 2',
        since,
    )


def rate_too_high(curves: Curves) -> Diagnosis | None:
    """The training loss jumps up again and again, rises for good, or ends above that of guessing.

    A jump is by a fifth of the loss and by 5 % of the loss of guessing; a third of the epochs or more have one. It has
    risen where it ends half above its minimum, by a tenth of the loss of guessing, in medians of three epochs.
    """
    if not curves.is_measured or curves.num_epochs < 3:
        return None
    evidence, since = _unrest(curves)
    if not evidence:
        return None
    return Diagnosis(
        "learning rate too high",
        evidence,
        "lower the learning rate three- to tenfold, or let it fall (schedule)",
        'Bengio (2012), "Practical recommendations for gradient-based training of deep architectures", section 3.1.1',
        since,
    )


def rate_too_low(curves: Curves) -> Diagnosis | None:
    """The training loss falls steadily, has far to go, and is not levelling off; or it hardly moves at all.

    Where it was measured, no kernel may have moved by 15 % of its size: one that has was not held back by the rate.
    """
    if not curves.is_measured or curves.num_epochs < 3:
        return None
    if moved(curves, 0.0) > MOVED:
        return None
    loss, guess = curves.row("train_loss"), curves.guessing_loss
    steps = np.diff(loss)
    half = len(loss) // 2
    first, second = loss[0] - loss[half], loss[half] - loss[-1]
    is_steady = np.mean(steps < 0) >= 0.8 and loss[-1] > 0.3 * guess and second > 0.5 * first > 0
    is_still = float(np.ptp(loss)) < 0.01 * guess and loss[-1] > 0.9 * guess
    if not (is_steady or is_still):
        return None
    evidence = f"the training loss went from {loss[0]:.3g} to {loss[-1]:.3g} in {counted(len(loss) - 1, 'epoch')}"
    evidence += " without levelling off" if is_steady else " and hardly moved"
    if change := moved(curves, 0.0):
        evidence += f", and no kernel moved by more than {percent(change, 1)} of its size"
    return Diagnosis(
        "learning rate too low",
        evidence,
        "raise the learning rate three- to tenfold, or train longer",
        'Smith (2017), "Cyclical learning rates for training neural networks", section 3.3 (range test)',
    )


def _unrest(curves: Curves) -> tuple[str, int | None]:
    """What speaks for steps that are too large, and since when; empty where nothing does.

    Where evaluation lags behind the weights (batch normalization, averaged weights), jumps of a loss count only if the
    running loss, which nothing lags behind, does not fall all the while.
    """
    if curves.num_epochs < 3:
        return "", None
    loss, running, guess = curves.row("train_loss"), curves.row("running_loss"), curves.guessing_loss
    steps = np.diff(loss)
    jumps = np.flatnonzero((steps > 0.2 * loss[:-1]) & (steps > 0.05 * guess))
    if len(jumps) >= max(2, len(steps) / 3) and not (_can_lag(curves) and np.mean(np.diff(running) <= 0) >= 0.9):
        return f"the training loss jumped up after {len(jumps)} of {counted(len(steps), 'epoch')}", int(jumps[0]) + 2
    smoothed = smooth(loss)
    best = int(smoothed.argmin())
    rise = float(smoothed[-1] - smoothed[best])
    if rise > max(0.5 * smoothed[best], 0.1 * guess) and not _can_lag(curves):
        return (
            f"the training loss rose from {smoothed[best]:.3g} after epoch {best + 1} to {smoothed[-1]:.3g}",
            best + 1,
        )
    if loss[-1] > 1.05 * guess and moved(curves, 1.0) > MOVED and not (_can_lag(curves) and running[-1] < 0.9 * guess):
        return f"the training loss ends at {loss[-1]:.3g}, above {guess:.3g} for guessing", None
    return "", None


def _can_lag(curves: Curves) -> bool:
    """Whether evaluation may lag behind the weights, and the running loss is there to show it."""
    lags = curves.protocol.norm_momentum > 0 or curves.protocol.average_momentum > 0
    return lags and len(curves.row("running_loss")) == curves.num_epochs
