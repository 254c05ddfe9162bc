"""The part of a student's loss that its teacher brings.

Source: Hinton, Vinyals and Dean (2015), "Distilling the knowledge in a neural network": softened by a temperature T,
gradients shrink by 1 / T^2, so this part is multiplied by T^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..spec import Distillation

Floats = NDArray[np.float32]


def distilled(loss: Tensor, logits: Tensor, teacher: Tensor, settings: Distillation) -> Tensor:
    """The mean loss of a batch with its teacher: (1 - weight) x loss + weight x T^2 x cross-entropy.

    Args:
        loss: Without the teacher, the mean over the batch.
        logits: The student's [batch, classes].
        teacher: The teacher's softened probabilities [batch, classes].
        settings: The teacher's share and the temperature T.
    """
    own = cross_entropy(logits / settings.temperature, teacher)
    return (1 - settings.weight) * loss + settings.weight * settings.temperature**2 * own


def taught(logits: Floats, teacher: Floats, settings: Distillation) -> tuple[float, Floats]:
    """The teacher's part of a batch's summed loss, weight x T^2 x cross-entropy, and the gradient of its mean.

    Args:
        logits: The student's [batch, classes].
        teacher: The teacher's softened probabilities [batch, classes].
        settings: The teacher's share (weight) and the temperature T.
    """
    temperature, weight = settings.temperature, settings.weight
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    logs = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
    loss = -float((teacher * logs).sum())
    gradient = (np.exp(logs) - teacher) * (weight * temperature / len(logits))
    return weight * temperature**2 * loss, gradient.astype(np.float32)
