"""Who is measured, and on how many images.

A rival with several variants is tried with each of them first, on few images; the fastest on a probe goes into the
rounds on that probe. Slow rivals train on fewer images than an epoch has, and their time is scaled up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from probes import EPOCH

HEAT_IMAGES = 6_000

OURS_PACKED = "assay-packed"
OURS_ALONE = "assay-alone"


@dataclass(frozen=True)
class Rival:
    """A system that is measured beside ours.

    Args:
        script: The module in ``rivals`` that runs it.
        is_packed: As many single-thread processes side by side as there are cores; else one process on all cores.
        images: Images per epoch, by probe, where they are fewer than ``probes.EPOCH``.
    """

    name: str
    title: str
    script: str
    variants: tuple[str, ...]
    is_packed: bool
    images: dict[str, int] = field(default_factory=dict)

    def images_of(self, probe: str) -> int:
        return self.images.get(probe, EPOCH)


RIVALS = (
    Rival("keras-tensorflow", "Keras fit, TensorFlow", "keras_fit", ("tensorflow",), False),
    Rival("keras-jax", "Keras fit, JAX", "keras_fit", ("jax",), False, {"A": 6_000, "C": 12_000, "E": 12_000}),
    Rival("keras-torch", "Keras fit, torch", "keras_fit", ("torch",), False, {"A": 12_000, "C": 30_000, "E": 30_000}),
    Rival(
        "tensorflow-tuned",
        "TensorFlow tuned",
        "tensorflow_tuned",
        ("memory", "pipeline", "memory-xla"),
        True,
        {"A": 24_000},
    ),
    Rival("torch-eager", "PyTorch eager tuned", "torch_tuned", ("eager", "eager-planar"), True, {"A": 24_000}),
    Rival(
        "torch-compiled",
        "torch.compile tuned",
        "torch_tuned",
        ("compiled", "compiled-planar"),
        True,
        {"A": 12_000, "C": 30_000, "E": 24_000},
    ),
    Rival("jax-tuned", "JAX tuned", "jax_tuned", ("float32",), True, {"A": 12_000, "C": 30_000, "E": 24_000}),
)

TITLES = {
    OURS_PACKED: "Assay, runs side by side",
    OURS_ALONE: "Assay, one run alone",
    **{rival.name: rival.title for rival in RIVALS},
}
KERAS_FIT = tuple(rival.name for rival in RIVALS if rival.script == "keras_fit")
PACKED = tuple(rival.name for rival in RIVALS if rival.is_packed)
NAMES = tuple(TITLES)
