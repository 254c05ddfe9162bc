"""Runs Assay and its rivals in turn, keeps every sample, writes the table and the chart. ``make bench`` calls it.

Only the standard library is needed here; Assay must be importable by this interpreter, the rivals by another.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from machine import cores, machine, slug
from probes import EPOCH, PROBES
from processes import Failed, output, side_by_side
from roster import HEAT_IMAGES, KERAS_FIT, NAMES, OURS_ALONE, OURS_PACKED, PACKED, RIVALS, Rival
from samples import entering
from targets import TARGETS, can_round

import report

HERE = Path(__file__).parent
ROOT = HERE.parent
FEW = 1_000  # images where only kernels are made, not timed
EXTRAS = ("roofline", "first-use", "c-regularization", "mnist-99")


class Bench:
    """One run of the benchmark. Every sample is on disk as soon as it is taken, and is not taken again on resuming."""

    def __init__(self, chosen: argparse.Namespace, folder: Path, scratch: Path) -> None:
        self.chosen = chosen
        self.scratch = scratch
        self.raw: dict[str, Any] = {
            "format": 2,
            "date": date.today().isoformat(),
            "is_smoke": chosen.quick or chosen.images < EPOCH,
            "target": chosen.target,
            "rounds": 0,
            "epochs": chosen.epochs,
            "machine": machine(),
            "assay": _revision(),
            "samples": [],
            "heats": [],
            "roofline": [],
            "traffic": [],
            "first_use": [],
            "studies": [],
            "notes": [],
            "total_seconds": 0.0,
        }
        self.environment = {
            **os.environ,
            "ASSAY_KERNELS": str(scratch / "kernels"),
            "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor"),
            "PYTHONWARNINGS": "ignore",
            **TARGETS[chosen.target],
        }
        if chosen.resume:
            self.path = chosen.resume
            self._resume()
        else:
            self.path = _unused(folder, f"{self.raw['date']}-{slug(self.raw['machine'])}", chosen.target)
        self.raw["colour_images"] = _colour_images(chosen.probes)
        self.sources = {data: _source(data, scratch) for data in {PROBES[probe].data for probe in chosen.probes}}

    def _resume(self) -> None:
        """Go on with the samples of a run that was cut, which must be of this machine, code and choice."""
        found = json.loads(self.path.read_text())
        same = ("format", "is_smoke", "target", "epochs", "machine", "assay")
        other = [name for name in same if found.get(name) != self.raw[name]]
        if other:
            raise SystemExit(f"{self.path} cannot be resumed: its {', '.join(other)} differ from this run's")
        self.raw = {**self.raw, **found, "notes": []}  # what failed is tried again

    def run(self) -> Path:
        """Everything, in turn: at most ``rounds`` rounds, and no round that would exceed ``minutes``."""
        started = time.time() - self.raw["total_seconds"]
        only, probes = self.chosen.only, self.chosen.probes
        if "first-use" in only:
            self.first_use(probes)
        if "roofline" in only:
            self.traffic(probes)
        entered = self.heats([rival for rival in RIVALS if rival.name in only], probes)
        if "c-regularization" in only:
            self.command("c-regularization")
        longest = 0.0
        for round_ in range(1, self.chosen.rounds + 1):
            began = time.time()
            if longest and began + longest > started + 60 * self.chosen.minutes:
                break
            self.round(round_, entered)
            longest = max(longest, time.time() - began)
            self.raw["rounds"] = round_
            self.raw["total_seconds"] = time.time() - started
            self.save()
        return self.path

    def round(self, round_: int, entered: dict[tuple[str, str], tuple[str, str]]) -> None:
        """Every system once on every probe."""
        only = self.chosen.only
        systems = [name for name in NAMES if name in only]
        if "roofline" in only:
            self.roofline(round_)
        for probe in self.chosen.probes:
            # Another order in every round, so that nobody always follows the same neighbour.
            turn = (round_ - 1) * 2 % max(len(systems), 1)
            for name in systems[turn:] + systems[:turn]:
                if name in (OURS_PACKED, OURS_ALONE) or (name, probe) in entered:
                    self.sample(name, probe, round_, entered)
        if "mnist-99" in only:
            self.shipped("mnist-99", round_)

    def heats(self, rivals: list[Rival], probes: list[str]) -> dict[tuple[str, str], tuple[str, str]]:
        """Variant and precision with which a rival enters the rounds on a probe; too slow ones do not enter."""
        can = can_round(self.chosen.target, self.raw["machine"]["flags"])
        entered = {}
        for probe in probes:
            images = min(HEAT_IMAGES[probe], self.images(probe))
            for group in (KERAS_FIT, PACKED):
                choices = [
                    (rival, *choice)
                    for rival in rivals
                    if rival.name in group and probe in rival.probes
                    for choice in rival.choices(probe, can_round=can)
                ]
                if len(choices) == 1:
                    (rival, *choice), *_ = choices
                    entered[rival.name, probe] = tuple(choice)
                    continue
                for rival, variant, precision in choices:
                    about = {"system": rival.name, "variant": variant, "precision": precision, "probe": probe}
                    if not self.has("heats", **about):
                        say = f"heat: {rival.name} {variant} {precision} on {probe}"
                        work = (self.rival, rival, variant, precision, probe, images, 1)
                        results = self.attempt(say, *work)
                        if results is not None:
                            self.keep("heats", {**about, "results": results, "processes": len(results)})
                for name, heat in entering(self.raw, group, probe).items():
                    entered[name, probe] = (heat["variant"], heat["precision"])
        return {key: choice for key, choice in entered.items() if key[0] in {rival.name for rival in rivals}}

    def images(self, probe: str) -> int:
        """Images of an epoch, in proportion where the benchmark is only tried out."""
        return PROBES[probe].images * self.chosen.images // EPOCH

    def sample(self, name: str, probe: str, round_: int, entered: dict[tuple[str, str], tuple[str, str]]) -> None:
        """One system on one probe, once."""
        about = {"round": round_, "system": name, "probe": probe}
        if self.has("samples", **about):
            return
        about |= {"load_before": os.getloadavg()[0], "time": time.time()}
        say = f"round {round_}: {name} on {probe}"
        epochs = min(self.chosen.epochs, PROBES[probe].epochs)
        if name in (OURS_PACKED, OURS_ALONE):
            what = "packed" if name == OURS_PACKED else "alone"
            words = [what, *self.words(probe, self.images(probe)), "--workers", str(cores()), "--epochs", str(epochs)]
            found = self.attempt(say, self.ours, *words)
            if found is not None:
                self.keep("samples", {**about, "processes": len(found["results"]), **found})
            return
        rival = next(rival for rival in RIVALS if rival.name == name)
        variant, precision = entered[name, probe]
        images = min(rival.images_of(probe), self.images(probe))
        results = self.attempt(say, self.rival, rival, variant, precision, probe, images, epochs)
        if results is not None:
            self.keep("samples", {**about, "variant": variant, "processes": len(results), "results": results})

    def rival(
        self, rival: Rival, variant: str, precision: str, probe: str, images: int, epochs: int
    ) -> list[dict[str, Any]]:
        """A rival's processes, side by side where it is packed; a result of each."""
        words = [self.chosen.rivals_python, "-m", f"rivals.{rival.script}", "--probe", probe, "--variant", variant]
        words += ["--data", str(self.sources[PROBES[probe].data]), "--epochs", str(epochs), "--images", str(images)]
        words += ["--precision", precision, *(["--threads", "1", "--packed"] if rival.is_packed else [])]
        count = cores() if rival.is_packed else 1
        return side_by_side(words, count, is_packed=rival.is_packed, environment=self.environment)

    def words(self, probe: str, images: int) -> list[str]:
        """What ``ours.py`` must know of a probe."""
        source = self.sources[PROBES[probe].data]
        file = ["--data", str(source)] if source.suffix == ".npz" else []
        return ["--probe", probe, "--images", str(images), *file]

    def ours(self, *words: str, kernels: Path | None = None) -> dict[str, Any]:
        """What ``ours.py`` prints."""
        environment = {**self.environment, **({"ASSAY_KERNELS": str(kernels)} if kernels else {})}
        return json.loads(output([sys.executable, str(HERE / "ours.py"), *words], environment).splitlines()[-1])

    def first_use(self, probes: list[str]) -> None:
        """What making the kernels costs the first run, and what loading them costs any later process."""
        for probe in probes:
            folder = self.scratch / f"kernels-{probe}"
            if self.has("first_use", probe=probe, cache="empty") and self.has("first_use", probe=probe, cache="warm"):
                continue
            folder.mkdir()
            self.raw["first_use"] = [use for use in self.raw["first_use"] if use["probe"] != probe]
            for cache in ("empty", "warm"):
                words = ("first-use", *self.words(probe, FEW))
                # Of the whole command: kernels are made before a run's own clock starts.
                began = time.perf_counter()
                found = self.attempt(f"first use of kernels, cache {cache}, {probe}", self.ours, *words, kernels=folder)
                about = {"probe": probe, "cache": cache, "command_seconds": time.perf_counter() - began}
                if found is not None:
                    self.keep("first_use", {**about, **found})

    def traffic(self, probes: list[str]) -> None:
        """What the kernels of a step are handed, for comparison with what it must move."""
        for probe in probes:
            if not self.has("traffic", probe=probe):
                found = self.attempt(f"recorded calls of {probe}", self.ours, "traffic", *self.words(probe, FEW))
                if found is not None:
                    self.keep("traffic", {"probe": probe, **found})

    def roofline(self, round_: int) -> None:
        """The machine's ceilings, in every round beside the others."""
        if self.has("roofline", round=round_):
            return
        words = ["--size", "512", "--megabytes", "32", "--seconds", "0.1"] if self.raw["is_smoke"] else []
        command = [self.chosen.rivals_python, str(HERE / "roofline.py"), *words]
        found = self.attempt(f"round {round_}: roofline", output, command, self.environment)
        registers = self.attempt(f"round {round_}: multiply-add from registers", self.ours, "rates")
        if found is not None:
            self.keep("roofline", {"round": round_, **json.loads(found), "registers": registers or {}})

    def shipped(self, study: str, round_: int) -> None:
        """One training of a shipped study, alone on all cores."""
        if self.has("studies", round=round_, study=study) or not self.is_shipped(study):
            return
        found = self.attempt(f"round {round_}: one run of {study}", self.ours, "shipped", "--study", study)
        if found is not None:
            self.keep("studies", {"round": round_, "study": study, **found})

    def command(self, study: str) -> None:
        """The whole of ``assay run`` on a shipped study, from an empty store."""
        if self.has("studies", study=study) or not self.is_shipped(study):
            return
        store = self.scratch / "store"
        words = [sys.executable, "-m", "assay", "run", study, "--store", str(store), *self.chosen.study_options]
        started = time.perf_counter()
        # Code 1 says that runs failed, by diverging perhaps, which is a result too.
        if self.attempt(f"assay run {study}", output, words, self.environment, fine=(0, 1)) is None:
            return
        wall = time.perf_counter() - started
        counts = self.ours("tally", "--study", study, "--store", str(store))
        self.keep("studies", {"round": 1, "study": study, "command_seconds": wall, **counts})

    def is_shipped(self, study: str) -> bool:
        from assay import shipped

        if study in shipped():
            return True
        note = f"The study {study} is not shipped yet: not measured."
        if note not in self.raw["notes"]:
            self.keep("notes", note)
        return False

    def attempt(self, say: str, work: Any, *arguments: Any, **options: Any) -> Any:
        """The work's result; ``None``, and a note in the report, where it fails."""
        started = time.perf_counter()
        print(f"{say} ...", end=" ", file=sys.stderr, flush=True)
        try:
            result = work(*arguments, **options)
        except (Failed, ValueError) as error:
            print(f"failed: {error}", file=sys.stderr)
            self.keep("notes", f"{say}: failed ({_without_paths(str(error))})")
            return None
        print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
        return result

    def has(self, kind: str, **about: Any) -> bool:
        """Whether such a sample has been taken."""
        return any(all(sample[name] == value for name, value in about.items()) for sample in self.raw[kind])

    def keep(self, kind: str, sample: Any) -> None:
        self.raw[kind].append(sample)
        self.save()

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".part")
        unfinished.write_text(json.dumps(self.raw, indent=1) + "\n")
        unfinished.replace(self.path)


def _without_paths(text: str) -> str:
    return text.replace(str(ROOT), ".").replace(str(Path.home()), "~").replace(tempfile.gettempdir(), "TMP")


def _source(data: str, scratch: Path) -> Path:
    """What a rival opens: a folder of IDX files, or the arrays that are written for everybody."""
    if data.startswith("cifar10-"):
        import coloured

        return coloured.write(scratch, int(data.removeprefix("cifar10-")))
    from assay.data.location import raw_folder

    return raw_folder(data)


def _colour_images(probes: list[str]) -> str:
    """What the probes on colour images train on, in words; empty where there are none."""
    import coloured

    if not any(PROBES[probe].data.startswith("cifar10-") for probe in probes):
        return ""
    return "CIFAR-10 (JPEG copy)" if coloured.source().path else "CIFAR-10"


def _unused(folder: Path, stem: str, target: str) -> Path:
    stem += "" if target == "native" else f"-{target}"
    path, number = folder / f"{stem}.json", 2
    while path.exists():
        path, number = folder / f"{stem}-{number}.json", number + 1
    return path


def _revision() -> dict[str, str]:
    """Which Assay is measured."""
    from importlib.metadata import version

    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
        revision = done.stdout.strip()
    except OSError:
        revision = ""
    return {"version": version("assay"), "revision": revision}


def _check(chosen: argparse.Namespace) -> None:
    """Everything that must be there is there, before anything is timed."""
    import coloured

    from assay.data import prepare
    from assay.data.location import raw_folder
    from assay.errors import InputError

    if not Path(chosen.rivals_python).exists():
        raise SystemExit(f"no interpreter at {chosen.rivals_python}: run make bench, or give --rivals-python")
    for data in sorted({PROBES[probe].data.split("-")[0] for probe in chosen.probes}):
        try:
            prepare(coloured.source() if data == "cifar10" else data)
        except InputError as error:
            raise SystemExit(f"{error}\nrun: assay data fetch {data}") from None
        if data != "cifar10" and not any(raw_folder(data).glob("train-images-idx3-ubyte*")):
            raise SystemExit(f"the rivals need the IDX files of {data}; run: assay data fetch {data}")


def _names(known: tuple[str, ...]) -> Any:
    def read(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return names

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    everything = (*NAMES, *EXTRAS)
    parser.add_argument("--rounds", type=int, default=3, help="at most; the first one always runs")
    parser.add_argument("--minutes", type=float, default=30, help="no round begins that would end later")
    parser.add_argument("--epochs", type=int, default=2, help="timed in each sample; large probes have one")
    parser.add_argument("--target", choices=TARGETS, default="native", help="the instructions that everybody may use")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="go on with the samples of a run that was cut")
    parser.add_argument("--probes", type=_names(tuple(PROBES)), default=list(PROBES), help="such as A,E")
    parser.add_argument("--only", type=_names(everything), default=list(everything), help=", ".join(everything))
    parser.add_argument("--images", type=int, default=EPOCH, help="fewer to try the benchmark out")
    parser.add_argument("--quick", action="store_true", help="one round, few images: does everything work?")
    parser.add_argument("--report-only", type=Path, metavar="FILE", help="table and chart of saved samples")
    parser.add_argument("--out", type=Path, help="folder for samples, table and chart, instead of the usual ones")
    parser.add_argument("--page", help="of its own, benchmarks-PAGE.md, for another kind of machine")
    parser.add_argument("--rivals-python", default=str(ROOT / ".bench-venv" / "bin" / "python"))
    chosen = parser.parse_args()
    chosen.study_options = []
    if chosen.quick:
        chosen.rounds, chosen.epochs, chosen.images = 1, 1, min(chosen.images, 3_000)
        chosen.study_options = ["--seeds", "1", "--no-report"]
    is_smoke = chosen.quick or chosen.images < EPOCH
    out = chosen.out or (ROOT / ".bench-smoke" if is_smoke else None)

    path = chosen.report_only
    if path is None:
        _check(chosen)
        with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
            path = Bench(chosen, out or HERE / "results", Path(scratch)).run()
    for written in report.write(path, out or ROOT / "docs" / "evidence", chosen.page):
        print(written)


if __name__ == "__main__":
    main()
