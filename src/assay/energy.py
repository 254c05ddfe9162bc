"""Energy that the machine tells of: RAPL counters of processor packages and their memory, as Linux shows them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
PROCESSOR_TIME = Path("/proc/stat")
_SECONDS = 20.0  # between readings: a counter of 65 kJ wraps after minutes at hundreds of watts
_FEWEST_SECONDS = 1.0  # of busy time that a share is taken of; the system counts in hundredths


@dataclass(frozen=True)
class Counter:
    """One RAPL zone: energy since some moment, which begins again at 0 after its range.

    Args:
        name: Such as ``package-0``, or ``package-0 dram``.
        path: The file with microjoules.
        range_uj: Where it wraps around.
    """

    name: str
    path: Path
    range_uj: int

    def read(self) -> int:
        """Microjoules."""
        return int(self.path.read_text())


@dataclass(frozen=True)
class Source:
    """What this machine tells of its energy.

    Args:
        counters: Zones that do not hold one another: packages, and the memory beside them.
        lacking: Why there are none, as a clause; empty where there are some.
    """

    counters: tuple[Counter, ...] = ()
    lacking: str = ""

    @property
    def description(self) -> str:
        """The source in a few words."""
        return "RAPL: " + ", ".join(counter.name for counter in self.counters) if self.counters else self.lacking


def energy_source(folder: Path | None = None) -> Source:
    """The RAPL counters under a folder of Linux's powercap (``POWERCAP`` unless given) that can be read.

    Packages are summed, and so is the memory (``dram``), which is no part of a package. ``core`` and ``uncore`` are
    parts of it, and ``psys`` holds all of them, so these are left out.

    Source: The Linux kernel's documentation of the power capping framework; David et al. (2010), "RAPL: memory power
    estimation and capping", ISLPED.
    """
    folder = POWERCAP if folder is None else folder
    if not folder.is_dir():
        return Source(lacking=f"this machine tells no energy ({folder} is not there)")
    counters: dict[str, Counter] = {}
    refused = ""
    for zone in sorted(folder.glob("intel-rapl:*")):  # AMD's are called so, too
        try:
            name = (zone / "name").read_text().strip()
            package = _package_of(zone, folder)
            if not (name.startswith("package") or (name == "dram" and package)):
                continue
            label = name if name != "dram" else f"{package} dram"
            counter = Counter(label, zone / "energy_uj", int((zone / "max_energy_range_uj").read_text()))
            counter.read()
            counters.setdefault(label, counter)
        except PermissionError:
            refused = f"{zone / 'energy_uj'} may not be read: an administrator can allow it with chmod a+r"
        except (OSError, ValueError):
            continue
    if refused:  # a part alone would look like the whole
        return Source(lacking=refused)
    if not any(" " not in name for name in counters):
        return Source(lacking=f"this machine tells no energy (no package under {folder})")
    return Source(tuple(counters.values()))


def _package_of(zone: Path, folder: Path) -> str:
    """The name of the package that a zone ``intel-rapl:0:2`` belongs to; empty where it is one itself."""
    parent = zone.name.rpartition(":")[0]
    return (folder / parent / "name").read_text().strip() if parent.count(":") else ""


class Meter:
    """The energy that this process has taken since the meter was made.

    Counters are of whole packages. Where other processes run beside this one, its part is the share of the machine's
    busy processor time that was its own. What packages take while they idle goes to those that are busy.

    Args:
        source: The counters.
        own_seconds: Processor time of this process so far.
        busy_seconds: Processor time of the whole machine so far; ``None`` where it is not known.
        seconds: Between readings of a thread of the meter's own, so that no wrap-around is missed; 0 for none.
    """

    def __init__(
        self,
        source: Source,
        *,
        own_seconds: Callable[[], float] = time.process_time,
        busy_seconds: Callable[[], float | None] | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        self.source = source
        self._own, self._busy = own_seconds, busy_seconds or busy_processor_seconds
        self._lock = threading.Lock()
        self._is_lost = not source.counters
        self._joules, self._whole = 0.0, 0.0  # of intervals that are over: this process's, the machine's
        self._pending = 0.0  # the machine's, of the interval that has begun
        self._ended = threading.Event()
        if not self._is_lost:
            try:
                self._last = [counter.read() for counter in source.counters]
                self._since = (self._own(), self._busy())
            except (OSError, ValueError):
                self._is_lost = True
        if seconds and not self._is_lost:
            threading.Thread(target=self._watch, args=(seconds,), daemon=True).start()

    def spent(self) -> tuple[float, float] | None:
        """Joules of this process, and of all packages in the same time; ``None`` where the machine does not tell."""
        with self._lock:
            self._read()
            if self._is_lost:
                return None
            return self._joules + self._share() * self._pending, self._whole + self._pending

    def stop(self) -> None:
        """End the thread that watches for wrap-arounds."""
        self._ended.set()

    def _watch(self, seconds: float) -> None:
        while not self._ended.wait(seconds):
            with self._lock:
                self._read()

    def _read(self) -> None:
        if self._is_lost:
            return
        try:
            now = [counter.read() for counter in self.source.counters]
        except (OSError, ValueError):
            self._is_lost = True  # a gap would look like thrift
            return
        for counter, before, after in zip(self.source.counters, self._last, now, strict=True):
            self._pending += ((after - before) % (counter.range_uj + 1)) / 1e6
        self._last = now
        own, busy = self._own(), self._busy()
        if busy is None or self._since[1] is None or busy - self._since[1] >= _FEWEST_SECONDS:
            self._joules += self._share() * self._pending
            self._whole += self._pending
            self._pending, self._since = 0.0, (own, busy)

    def _share(self) -> float:
        """Of the busy time of the interval that has begun, this process's part."""
        before, busy = self._since[1], self._busy()
        if before is None or busy is None or busy <= before:
            return 1.0
        return min(1.0, (self._own() - self._since[0]) / (busy - before))


def busy_processor_seconds(file: Path = PROCESSOR_TIME) -> float | None:
    """Processor time that the whole machine has spent on anything but waiting; ``None`` where that is not known."""
    try:
        fields = [int(number) for number in file.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    if len(fields) < 8:
        return None
    user, nice, system, _, _, irq, soft, steal = fields
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def energy_facts(source: Source, spent: tuple[float, float] | None, *, device: str = "cpu") -> dict[str, Any]:
    """What is kept with a run: its joules, those of all packages in the same time, and their source; or why there are
    none.

    Args:
        source: Of the counters.
        spent: As ``Meter.spent`` gives it.
        device: What trained the run. A CUDA device's energy is not measured, and packages alone would mislead.
    """
    if device != "cpu":
        return {"lacking": "the energy of a CUDA device is not measured"}
    if spent is None:
        return {"lacking": source.lacking or "the counters could not be read to the end"}
    own, whole = spent
    return {"joules": round(own, 3), "package_joules": round(whole, 3), "source": source.description}
