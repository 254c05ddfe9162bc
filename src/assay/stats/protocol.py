"""What a run was trained with, as far as its diagnosis depends on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """Settings of a run. The defaults stand for a run whose settings are not known.

    Args:
        batch_size: Images a step; 0 where it is not known.
        dropout: The largest rate of a dropout layer.
        augmentation: What varies the training images, as study files name it.
        decay: The settings that shrink kernels, as study files write them: ``("l2=0.01",)``.
        norm_momentum: The largest momentum of a batch normalization; 0 without any.
        average_momentum: ``ema_momentum``; 0 where weights are not averaged.
        begins_with_norm: Whether the first layer normalizes its input, so that the input's scale does not matter.
        bounded_scores: The bounded activation whose values the last softmax reads, such as ``"sigmoid"``; else empty.
    """

    batch_size: int = 0
    dropout: float = 0.0
    augmentation: tuple[str, ...] = ()
    decay: tuple[str, ...] = ()
    norm_momentum: float = 0.0
    average_momentum: float = 0.0
    begins_with_norm: bool = False
    bounded_scores: str = ""
