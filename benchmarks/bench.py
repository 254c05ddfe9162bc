"""Runs Assay and its rivals in turn, keeps every sample, writes the table and the chart. ``make bench`` calls it.

Only the standard library is needed here; Assay must be importable by this interpreter, the rivals by another.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

from machine import cores, has_bfloat16, machine, slug
from probes import EPOCH, PROBES
from roster import HEAT_IMAGES, NAMES, OURS_ALONE, OURS_PACKED, RIVALS, Rival

import report

HERE = Path(__file__).parent
ROOT = HERE.parent
TIMEOUT_SECONDS = 900
EXTRAS = ("roofline", "first-use", "c-regularization", "mnist-99")


class Failed(Exception):
    """A measurement gave no result; the message says why."""


class Bench:
    """One run of the benchmark. Every sample is on disk as soon as it is taken."""

    def __init__(self, chosen: argparse.Namespace, folder: Path, scratch: Path) -> None:
        self.chosen = chosen
        self.scratch = scratch
        self.raw: dict[str, Any] = {
            "format": 1,
            "date": date.today().isoformat(),
            "is_smoke": chosen.quick or chosen.images < EPOCH,
            "rounds": chosen.rounds,
            "epochs": chosen.epochs,
            "machine": machine(),
            "assay": _revision(),
            "samples": [],
            "heats": [],
            "roofline": [],
            "first_use": [],
            "studies": [],
            "notes": [],
        }
        self.precision = "bfloat16" if has_bfloat16(self.raw["machine"]) else "float32"
        self.environment = {
            **os.environ,
            "ASSAY_KERNELS": str(scratch / "kernels"),
            "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor"),
            "PYTHONWARNINGS": "ignore",
        }
        stem = f"{self.raw['date']}-{slug(self.raw['machine'])}"
        self.path = folder / f"{stem}.json"
        number = 2
        while self.path.exists():
            self.path, number = folder / f"{stem}-{number}.json", number + 1

    def run(self) -> Path:
        """Everything, in turn."""
        started = time.time()
        only = self.chosen.only
        probes = self.chosen.probes
        if "first-use" in only:
            self.first_use(probes)
        fastest = self.heats([rival for rival in RIVALS if rival.name in only], probes)
        systems = [name for name in NAMES if name in only]
        for round_ in range(1, self.chosen.rounds + 1):
            if "roofline" in only:
                self.roofline(round_)
            for probe in probes:
                # Another order in every round, so that nobody always follows the same neighbour.
                turn = (round_ - 1) * 2 % max(len(systems), 1)
                for name in systems[turn:] + systems[:turn]:
                    self.sample(name, probe, round_, fastest)
            if "mnist-99" in only:
                self.shipped("mnist-99", round_)
        if "c-regularization" in only:
            self.command("c-regularization")
        self.raw["total_seconds"] = time.time() - started
        self.save()
        return self.path

    def heats(self, rivals: list[Rival], probes: list[str]) -> dict[tuple[str, str], str]:
        """The fastest variant of each rival on each probe."""
        fastest = {}
        for rival in rivals:
            for probe in probes:
                taken: dict[str, float] = {}
                for variant in rival.variants if len(rival.variants) > 1 else ():
                    images = min(HEAT_IMAGES, self.chosen.images)
                    results = self.attempt(
                        f"heat: {rival.name} {variant} on {probe}", self.rival, rival, variant, probe, images, 1
                    )
                    if results is not None:
                        taken[variant] = report.run_epoch_seconds({"results": results, "processes": len(results)})
                        heat = {"system": rival.name, "variant": variant, "probe": probe, "results": results}
                        self.keep("heats", {**heat, "processes": len(results)})
                fastest[rival.name, probe] = min(taken, key=taken.__getitem__) if taken else rival.variants[0]
        return fastest

    def sample(self, name: str, probe: str, round_: int, fastest: dict[tuple[str, str], str]) -> None:
        """One system on one probe, once."""
        about = {
            "round": round_,
            "system": name,
            "probe": probe,
            "load_before": os.getloadavg()[0],
            "time": time.time(),
        }
        say = f"round {round_}: {name} on {probe}"
        if name in (OURS_PACKED, OURS_ALONE):
            what = "packed" if name == OURS_PACKED else "alone"
            words = [what, "--probe", probe, "--workers", str(cores()), "--epochs", str(self.chosen.epochs)]
            found = self.attempt(say, self.ours, *words, "--images", str(self.chosen.images))
            if found is not None:
                self.keep("samples", {**about, "processes": len(found["results"]), **found})
            return
        rival = next(rival for rival in RIVALS if rival.name == name)
        variant = fastest[name, probe]
        images = min(rival.images_of(probe), self.chosen.images)
        results = self.attempt(say, self.rival, rival, variant, probe, images, self.chosen.epochs)
        if results is not None:
            self.keep("samples", {**about, "variant": variant, "processes": len(results), "results": results})

    def rival(self, rival: Rival, variant: str, probe: str, images: int, epochs: int) -> list[dict[str, Any]]:
        """A rival's processes, side by side where it is packed; a result of each."""
        count = cores() if rival.is_packed else 1
        words = [self.chosen.rivals_python, "-m", f"rivals.{rival.script}", "--probe", probe, "--variant", variant]
        words += ["--data", str(_raw_folder(PROBES[probe].data)), "--epochs", str(epochs), "--images", str(images)]
        if rival.is_packed:
            words += ["--threads", "1", "--precision", self.precision, "--packed"]
        with contextlib.ExitStack() as stack:
            errors = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(count)]
            processes = [
                subprocess.Popen(
                    [*words, "--place", str(place)],
                    cwd=HERE,
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=error,
                    text=True,
                )
                for place, error in enumerate(errors)
            ]
            watchdog = threading.Timer(TIMEOUT_SECONDS, lambda: [process.kill() for process in processes])
            watchdog.start()
            stack.callback(_end, processes)
            stack.callback(watchdog.cancel)
            if rival.is_packed:
                for process, error in zip(processes, errors, strict=True):
                    _line(process, error, "ready")
                for process in processes:
                    process.stdin.write("go\n")
                    process.stdin.flush()
            # Who has given a result goes on training, so that all are busy until the last one has.
            return [json.loads(_line(process, error, "{")) for process, error in zip(processes, errors, strict=True)]

    def ours(self, *words: str, kernels: Path | None = None) -> dict[str, Any]:
        """What ``ours.py`` prints."""
        environment = {**self.environment, **({"ASSAY_KERNELS": str(kernels)} if kernels else {})}
        done = subprocess.run(
            [sys.executable, str(HERE / "ours.py"), *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        if done.returncode:
            raise Failed(_last(done.stderr))
        return json.loads(done.stdout.splitlines()[-1])

    def first_use(self, probes: list[str]) -> None:
        """What making the kernels costs the first run, and what loading them costs any later process."""
        for probe in probes:
            folder = self.scratch / f"kernels-{probe}"
            folder.mkdir()
            for cache in ("empty", "warm"):
                words = ("first-use", "--probe", probe, "--images", str(self.chosen.images))
                found = self.attempt(f"first use of kernels, cache {cache}, {probe}", self.ours, *words, kernels=folder)
                if found is not None:
                    self.keep("first_use", {"probe": probe, "cache": cache, **found})

    def roofline(self, round_: int) -> None:
        """The machine's ceilings, in every round beside the others."""
        words = ["--size", "512", "--megabytes", "32", "--seconds", "0.1"] if self.raw["is_smoke"] else []
        command = [self.chosen.rivals_python, str(HERE / "roofline.py"), *words]
        found = self.attempt(f"round {round_}: roofline", self.output, command)
        if found is not None:
            self.keep("roofline", {"round": round_, **json.loads(found)})

    def shipped(self, study: str, round_: int) -> None:
        """One training of a shipped study, alone on all cores."""
        if not self.is_shipped(study):
            return
        found = self.attempt(f"round {round_}: one run of {study}", self.ours, "shipped", "--study", study)
        if found is not None:
            self.keep("studies", {"round": round_, "study": study, **found})

    def command(self, study: str) -> None:
        """The whole of ``assay run`` on a shipped study, from an empty store."""
        if not self.is_shipped(study):
            return
        store = self.scratch / "store"
        words = [sys.executable, "-m", "assay", "run", study, "--store", str(store), *self.chosen.study_options]
        started = time.perf_counter()
        # Code 1 says that runs failed, by diverging perhaps, which is a result too.
        if self.attempt(f"assay run {study}", self.output, words, fine=(0, 1)) is None:
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

    def output(self, words: list[str], *, fine: tuple[int, ...] = (0,)) -> str:
        """What a command prints; its exit code must be a fine one."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
        if done.returncode not in fine:
            raise Failed(_last(done.stderr))
        return done.stdout

    def attempt(self, say: str, work: Any, *arguments: Any, **options: Any) -> Any:
        """The work's result; ``None``, and a note in the report, where it fails."""
        started = time.perf_counter()
        print(f"{say} ...", end=" ", file=sys.stderr, flush=True)
        try:
            result = work(*arguments, **options)
        except (Failed, subprocess.TimeoutExpired, ValueError) as error:
            print(f"failed: {error}", file=sys.stderr)
            self.keep("notes", f"{say}: failed ({_without_paths(str(error))})")
            return None
        print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)
        return result

    def keep(self, kind: str, sample: Any) -> None:
        self.raw[kind].append(sample)
        self.save()

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".part")
        unfinished.write_text(json.dumps(self.raw, indent=1) + "\n")
        unfinished.replace(self.path)


def _line(process: subprocess.Popen[str], error: Any, beginning: str) -> str:
    """The process's next line that begins so; libraries may print others."""
    for line in process.stdout:
        if line.startswith(beginning):
            return line
    process.wait()
    error.seek(0)
    raise Failed(_last(error.read()) or f"ended with code {process.returncode} or took over {TIMEOUT_SECONDS} s")


def _end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _without_paths(text: str) -> str:
    return text.replace(str(ROOT), ".").replace(str(Path.home()), "~").replace(tempfile.gettempdir(), "TMP")


def _raw_folder(data: str) -> Path:
    from assay.data.location import raw_folder

    return raw_folder(data)


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
    from assay.data import prepare
    from assay.errors import InputError

    if not Path(chosen.rivals_python).exists():
        raise SystemExit(f"no interpreter at {chosen.rivals_python}: run make bench, or give --rivals-python")
    for data in sorted({PROBES[probe].data for probe in chosen.probes}):
        try:
            prepare(data)
        except InputError as error:
            raise SystemExit(f"{error}\nrun: assay data fetch {data}") from None
        if not any(_raw_folder(data).glob("train-images-idx3-ubyte*")):
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
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2, help="timed ones in each sample")
    parser.add_argument("--probes", type=_names(tuple(PROBES)), default=list(PROBES), help="such as A,E")
    parser.add_argument("--only", type=_names(everything), default=list(everything), help=", ".join(everything))
    parser.add_argument("--images", type=int, default=EPOCH, help="fewer to try the benchmark out")
    parser.add_argument("--quick", action="store_true", help="one round, few images: does everything work?")
    parser.add_argument("--report-only", type=Path, metavar="FILE", help="table and chart of saved samples")
    parser.add_argument("--out", type=Path, help="folder for samples, table and chart, instead of the usual ones")
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
    for written in report.write(path, out or ROOT / "docs"):
        print(written)


if __name__ == "__main__":
    main()
