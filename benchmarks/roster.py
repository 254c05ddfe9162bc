"""Who is measured, in which variants, and on how many images.

Every variant of a rival, in every precision, is tried first on few images; its fastest one goes into the rounds,
unless another rival was more than ``SLOWER`` times as fast. Slow rivals train on fewer images than an epoch has, and
their time is scaled up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from probes import PROBES

# Of a heat, by probe: some seconds of training for the fastest.
HEAT_IMAGES = {"A": 4_000, "C": 12_000, "E": 12_288, "V": 1_280, "R": 1_280, "M": 2_560}
SLOWER = 2.0  # a heat's time to the fastest rival's: an epoch later it would not be the best any more

OURS_PACKED = "assay-packed"
OURS_ALONE = "assay-alone"
FLOAT32 = ("float32",)
BOTH = ("float32", "bfloat16")
GREY = ("A", "C", "E")


@dataclass(frozen=True)
class Rival:
    """A system that is measured beside ours.

    Args:
        script: The module in ``rivals`` that runs it.
        variants: Ways to run it; on probes that ``few`` names, only the first.
        precisions: That each variant is tried in, where the processor multiplies them.
        is_packed: As many single-thread processes side by side as there are cores; else one process on all cores.
        images: Images per epoch, by probe, where they are fewer than the probe has.
        probes: That it is measured on.
    """

    name: str
    title: str
    script: str
    variants: tuple[str, ...]
    precisions: tuple[str, ...]
    is_packed: bool
    images: dict[str, int] = field(default_factory=dict)
    probes: tuple[str, ...] = tuple(PROBES)
    few: tuple[str, ...] = ()

    def images_of(self, probe: str) -> int:
        return min(self.images.get(probe, PROBES[probe].images), PROBES[probe].images)

    def choices(self, probe: str, *, can_round: bool) -> list[tuple[str, str]]:
        """Variants and precisions to try on a probe; bfloat16 only where the processor multiplies it."""
        variants = self.variants[:1] if probe in self.few else self.variants
        precisions = [precision for precision in self.precisions if precision == "float32" or can_round]
        return [(variant, precision) for variant in variants for precision in precisions]


_COLOURED = {"V": 5_000, "R": 5_000, "M": 5_000}  # for single-thread processes, which take tens of seconds for it

RIVALS = (
    Rival("keras-tensorflow", "Keras fit, TensorFlow", "keras_fit", ("tensorflow",), FLOAT32, False),
    # Five times slower than on TensorFlow on C and E, three times on A, whose convolutions are small beside V's.
    Rival("keras-jax", "Keras fit, JAX", "keras_fit", ("jax",), FLOAT32, False, {"A": 6_000}, GREY),
    Rival("keras-torch", "Keras fit, torch", "keras_fit", ("torch",), FLOAT32, False, {"A": 12_000}),
    # With XLA (``memory-xla``, ``pipeline-xla``) a step took 7 to 17 times as long: not tried. How V, R and M are fed
    # does not matter beside what they compute.
    Rival(
        "tensorflow-tuned",
        "TensorFlow tuned",
        "tensorflow_tuned",
        ("memory", "pipeline"),
        BOTH,
        True,
        {"A": 24_000, **_COLOURED},
        few=("V", "R", "M"),
    ),
    Rival(
        "torch-eager",
        "PyTorch eager tuned",
        "torch_tuned",
        ("eager", "eager-planar"),
        BOTH,
        True,
        {"A": 24_000, **_COLOURED},
    ),
    # Compiled networks were slower than eager ones on A, C and E (1.2, 1.5 and 2.3 times). R took minutes to compile
    # for a process, and a step of it no less time than an eager one.
    Rival(
        "torch-compiled",
        "torch.compile tuned",
        "torch_tuned",
        ("compiled",),
        BOTH,
        True,
        {"A": 12_000, "C": 30_000, "E": 24_000},
        GREY,
    ),
    # Its convolutions write every patch: twice the best rival's time on A, three times on C and E. Convolutions in
    # groups and with stride would need ``jax.lax.conv``, which is several times slower still.
    Rival("jax-tuned", "JAX tuned", "jax_tuned", ("scan",), BOTH, True, {"A": 12_000}, GREY),
)

TITLES = {
    OURS_PACKED: "Assay, runs side by side",
    OURS_ALONE: "Assay, one run alone",
    **{rival.name: rival.title for rival in RIVALS},
}
KERAS_FIT = tuple(rival.name for rival in RIVALS if rival.script == "keras_fit")
PACKED = tuple(rival.name for rival in RIVALS if rival.is_packed)
NAMES = tuple(TITLES)
