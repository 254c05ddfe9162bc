"""Rules about what a run learned from: its inputs, labels and validation images."""

from __future__ import annotations

import numpy as np

from ...numerals import percent
from ..curves import Curves, smooth
from ..diagnosis import Diagnosis

MOVED = 0.15  # a kernel has moved if its change has this share of its initial norm


def moved(curves: Curves, unless_measured: float) -> float:
    """How far the kernel that moved the most is from its initial values, as a share of its initial norm."""
    return float(((curves.last_health or {}).get("kernels") or {}).get("moved", unless_measured))


def unscaled(curves: Curves) -> Diagnosis | None:
    """The network is fed bytes 0 to 255, and its first layer does not normalize them."""
    if curves.scaling != "none" or curves.protocol.begins_with_norm:
        return None
    return Diagnosis(
        "unscaled inputs",
        "images are fed as raw bytes 0 to 255, which makes first gradients some 255 times as large as on 0 to 1",
        'set scaling = "unit" or "standard" under [data]',
        'LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp", section 4.3',
    )


def faint_inputs(curves: Curves) -> Diagnosis | None:
    """The pixels that the network sees deviate by less than 0.02: as of bytes 0 and 1 that were divided by 255."""
    spread = (curves.last_health or {}).get("spread")
    if spread is None or spread >= 0.02 or curves.protocol.begins_with_norm:
        return None
    return Diagnosis(
        "inputs hardly vary",
        f"the pixels that the network sees have a standard deviation of {spread:.2g}; images on 0 to 1 have some 0.2 "
        "to 0.4",
        'look at the stored values (assay data show): were they scaled twice? scaling = "standard" mends it',
        'LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp", section 4.3',
    )


def duplicates(curves: Curves) -> Diagnosis | None:
    """Half a percent of the validation images or more are among the training images, byte for byte.

    Duplicates of a share of s can lift accuracy by s at most, so below half a percent they decide little.
    """
    if not curves.shared_images or curves.shared_images < 0.005 * max(curves.num_validation, 1):
        return None
    share = curves.shared_images / max(curves.num_validation, 1)
    return Diagnosis(
        "duplicates between splits",
        f"{curves.shared_images} of {curves.num_validation} validation images ({percent(share, 1)}) are "
        "training images too",
        "drop duplicates before splitting",
        'Barz and Denzler (2020), "Do we train on test data?", Journal of Imaging 6(6)',
    )


def unlike_validation(curves: Curves) -> Diagnosis | None:
    """Images that the first epoch saw for the first time were classified better than validation images ever were.

    The first epoch's running accuracy is measured before each image is learned from, so that memory cannot lift it;
    the network was worse on average than it is later. 10 points and four standard errors apart, validation images are
    of another kind, or have other labels.
    """
    running = curves.row("running_accuracy")
    if not curves.is_measured or not len(running) or curves.num_validation < 1:
        return None
    first, best = float(running[0]), float(curves.row("validation_accuracy").max())
    error = (max(best * (1 - best), 0.01) / curves.num_validation) ** 0.5
    if first - best < max(0.1, 4 * error):
        return None
    return Diagnosis(
        "validation unlike training",
        f"in the first epoch {percent(first, 1)} of training images were right before they had been learned "
        "from, and of the "
        f"validation images never more than {percent(best, 1)}",
        "compare validation images with training images: their source, their preparation (scale, colours, crop), the "
        "order of their labels",
        "Measured: the first epoch sees each image once, so that its running accuracy has nothing of overfitting",
    )


def unrelated_labels(curves: Curves) -> Diagnosis | None:
    """Validation stays at chance, though training images were learned by heart or kernels moved far."""
    health = curves.last_health
    if not curves.is_measured or curves.num_epochs < 3 or curves.num_validation < 1 or health is None:
        return None
    chance = curves.common_share
    error = (chance * (1 - chance) / curves.num_validation) ** 0.5
    best = float(smooth(curves.row("validation_accuracy")).max())
    if best > chance + max(0.03, 4 * error):
        return None
    train = float(curves.row("train_accuracy")[-1])
    knows_by_heart = train > chance + max(0.1, 6 * error)
    change = moved(curves, 0.0)
    if not (knows_by_heart or (curves.is_stuck and change > 2 * MOVED)):
        return None
    if knows_by_heart:
        evidence = (
            f"{percent(train, 1)} of training images are right and {percent(best, 1)} of validation images at most"
        )
    else:
        evidence = (
            f"kernels moved by {percent(change, 0)} of their size, and {percent(best, 1)} of validation "
            "images are right at most"
        )
    return Diagnosis(
        "labels unrelated to images",
        f"{evidence}, where always the same answer gets {percent(chance, 1)}",
        "look at images beside their labels (assay data show): are both in the same order? If they are right, the "
        "images are too few or too hard for this network: use more images, augmentation or a trained base",
        'Zhang, Bengio, Hardt, Recht and Vinyals (2017), "Understanding deep learning requires rethinking '
        'generalization"',
    )


def validation_better(curves: Curves) -> Diagnosis | None:
    """Validation beats training by a point and by four standard errors, though both are measured alike."""
    if not curves.is_measured or curves.num_epochs < 3 or curves.num_validation < 1:
        return None
    train, validation = (smooth(curves.row(f"{split}_accuracy"))[-1] for split in ("train", "validation"))
    losses = [smooth(curves.row(f"{split}_loss"))[-1] for split in ("train", "validation")]
    pooled = (train + validation) / 2
    error = float(np.sqrt(2 * pooled * (1 - pooled) / curves.num_validation))
    if validation - train < max(0.01, 4 * error) or losses[1] > 0.9 * losses[0]:
        return None
    return Diagnosis(
        "validation better than training",
        f"validation accuracy is {100 * (validation - train):.1f} points above training accuracy, "
        f"{(validation - train) / error:.0f} standard errors",
        "look for validation images that are easier or stem from another source, and for wrong training labels",
        'Kaufman, Rosset and Perlich (2012), "Leakage in data mining", ACM TKDD 6(4)',
    )
