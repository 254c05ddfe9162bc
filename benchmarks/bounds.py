"""What bounds a training step: its arithmetic and its traffic against the machine's two ceilings, as a table."""

from __future__ import annotations

from cost import training_bytes, training_flops
from probes import EPOCH, PROBES, Probe
from roster import OURS_PACKED
from samples import Raw, Spread, by_round, ceiling, products_ceiling, thread_counts
from tables import head, percent, verdict

GOAL, OF = 0.75, ("A", "V", "R")  # of the higher bound

_INTRO = """How close Assay comes to what the machine can do: the time of one step, with runs side by side on all cores,
against two ceilings. The longer of the two times is the bound.

- *Arithmetic*: the products of layers with weights, forward and backward, computed directly. The ceiling is the faster
  of the matrix product and of multiply-adds from registers. Assay computes most 3x3 convolutions with fewer products,
  so its share can exceed 100 %.
- *Traffic*: counted from the layers (`benchmarks/cost.py`), not measured. Every activation and gradient is written once
  and read once by each pass that needs it, with passes fused as far as they can be. The ceiling is a copy of more than
  the caches hold. What stays in a cache costs less, so this share can exceed 100 % too.
- *Calls*: the bytes of the arrays that the recorded kernel calls get, each array once a call. Their excess over traffic
  is about what could still be fused."""


def bounds(raw: Raw) -> str:
    """The section, empty where no ceilings were measured."""
    rows = [row for probe in PROBES.values() if (row := _row(raw, probe))]
    if not rows:
        return ""
    names = ("network", "precision", "GFLOP a step", "traffic, MB", "calls, MB", "arithmetic, ms", "traffic, ms")
    names += ("bound by", "measured, ms", "share of the bound", "goal", "")
    return "\n".join(["## What bounds a step", "", _INTRO, "", *head(*names), *rows])


def _row(raw: Raw, probe: Probe) -> str:
    measured = Spread.of(by_round(raw, OURS_PACKED, probe.key).values())
    if measured is None or not raw["roofline"]:
        return ""
    ours = [one for one in raw["samples"] if one["system"] == OURS_PACKED and one["probe"] == probe.key]
    precision = ours[-1]["results"][0]["precision"]
    products = products_ceiling(raw, precision)
    copies = ceiling(raw, thread_counts(raw)[-1], "copy_gigabytes_per_second")
    if products is None or copies is None:
        return ""
    flops = training_flops(probe) * probe.batch_size
    moved = training_bytes(probe, 2 if precision == "bfloat16" else 4)
    times = {"arithmetic": flops / products / 1e6, "traffic": moved / copies.middle / 1e6}
    bound = max(times, key=times.__getitem__)
    step = measured.middle * probe.batch_size / EPOCH * 1e3
    share = times[bound] / step
    goal = (percent(GOAL), verdict(raw, share >= GOAL)) if probe.key in OF else ("", "")
    handed = [one for one in raw.get("traffic", ()) if one["probe"] == probe.key]
    calls = f"{handed[0]['bytes'] / 1e6:.0f}" if handed and "bytes" in handed[0] else "torch's layers" if handed else ""
    cells = (probe.key, precision, f"{flops / 1e9:.2f}", f"{moved / 1e6:.0f}", calls)
    cells += (
        f"{times['arithmetic']:.2f}",
        f"{times['traffic']:.2f}",
        bound,
        f"{step:.2f}",
        f"**{percent(share)}**",
        *goal,
    )
    return "| " + " | ".join(cells) + " |"
