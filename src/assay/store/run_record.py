"""One run, as the store remembers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..numerals import percent
from ..train.epochs import EpochRecord

State = Literal["queued", "running", "paused", "finished", "diverged", "out of memory", "failed"]
FAILED: tuple[State, ...] = ("diverged", "out of memory", "failed")


@dataclass(frozen=True)
class RunRecord:
    """What the store holds of one run: one training of one arm with one seed, and one fold if the study has folds.

    Args:
        id: The run's fingerprint.
        arm: Its arm's name.
        seed: Its seed.
        state: ``"queued"``, ``"running"``, ``"paused"`` (by a search), ``"finished"``, ``"diverged"``,
            ``"out of memory"`` or ``"failed"``.
        reason: Why it failed.
        advice: What to try then.
        attempts: How often it was started.
        started: When it was first started, in seconds since 1970.
        finished: When it ended.
        seconds: The time spent in training and evaluation, over all attempts.
        peak_memory_bytes: The largest memory of its process.
        weights_path: The file of its weights, relative to the store's folder; ``None`` until it has finished.
        weights_sha256: The file's SHA-256.
        epochs_planned: The number of planned epochs.
        epochs: The recorded epochs. Empty in a record that was read in brief.
        environment: Versions, machine, device, precision and energy.
        test_accuracy: The accuracy on the test split, a fraction; ``None`` until it is revealed.
        test_loss: The loss on the test split, in nats.
        fold: Its fold, from 1; ``None`` without folds.
        kept_epoch: The epoch whose weights were kept; ``None`` means the last.
        counted: That epoch's record, in a record that was read in brief.
    """

    id: str
    arm: str
    seed: int
    state: State
    reason: str = ""
    advice: str = ""
    attempts: int = 0
    started: float | None = None
    finished: float | None = None
    seconds: float | None = None  # spent in training and evaluation, over all attempts
    peak_memory_bytes: int | None = None
    weights_path: str | None = None
    weights_sha256: str | None = None
    epochs_planned: int = 0
    epochs: tuple[EpochRecord, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    test_accuracy: float | None = None
    test_loss: float | None = None
    fold: int | None = None
    kept_epoch: int | None = None
    counted: EpochRecord | None = None

    @property
    def label(self) -> str:
        """Its name among the runs of its arm: ``"seed 3"`` or ``"seed 3, fold 2"``."""
        return f"seed {self.seed}" + (f", fold {self.fold}" if self.fold else "")

    @property
    def last(self) -> EpochRecord | None:
        """The last recorded epoch."""
        return self.epochs[-1] if self.epochs else None

    @property
    def lacks_epochs(self) -> bool:
        """Whether epochs are missing between its records, or the kept one is."""
        return max(self.kept_epoch or 0, self.last.epoch if self.last else 0) > len(self.epochs)

    @property
    def kept(self) -> EpochRecord | None:
        """The epoch whose weights were kept. All scores of the run are of this epoch."""
        if self.counted is not None:
            return self.counted
        return self.epochs[self.kept_epoch - 1] if self.kept_epoch is not None and self.epochs else self.last

    @property
    def stopped_epoch(self) -> int | None:
        """The epoch after which early stopping ended the run; ``None`` if it went to its end."""
        is_short = self.state == "finished" and 0 < len(self.epochs) < self.epochs_planned
        return len(self.epochs) if is_short else None

    @property
    def joules(self) -> float | None:
        """The energy of training and evaluation; ``None`` if the machine does not report it."""
        value = self.environment.get("energy", {}).get("joules")
        return None if value is None else float(value)

    @property
    def is_failed(self) -> bool:
        """Whether the run diverged, ran out of memory or failed."""
        return self.state in FAILED

    def _repr_html_(self) -> str:
        from ..markup import facts

        kept = self.kept
        pairs = [
            ("run", self.id[:10]),
            ("state", self.state),
            ("reason", self.reason),
            ("advice", self.advice),
            ("epochs", f"{len(self.epochs)} of {self.epochs_planned}"),
            ("kept epoch", kept.epoch if kept else None),
            ("validation accuracy", _percent(kept.validation_accuracy) if kept else None),
            ("validation loss", f"{kept.validation_loss:.4g}" if kept else None),
            ("test accuracy", _percent(self.test_accuracy)),
            ("seconds", None if self.seconds is None else f"{self.seconds:.3g}"),
        ]
        return facts(f"{self.arm}, {self.label}", pairs)


def _percent(share: float | None) -> str | None:
    return None if share is None else percent(share)
