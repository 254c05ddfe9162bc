"""Builds the wheel and the sdist, checks both, and tries the wheel where no checkout is. Run by ``make package``.

The wheel is installed into an environment of its own, which borrows the dependencies of the one that runs this script:
what is tried is what the wheel holds, not what pip resolves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDY = """
question = "Does dropout help?"
[data]
name = "digits"
validation = 0.2
[network]
layers = ["flatten", "dense 8 relu", "dropout {rate}", "dense classes softmax"]
[factors]
rate = [0.0, 0.5]
[training]
epochs = 1
[seeds]
count = 2
"""


def run(*command: object, cwd: Path = ROOT) -> str:
    """A command's output; its failure ends the script with what it printed."""
    # Nothing of the checkout may be found by accident.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "ASSAY_STORE")}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def built(folder: Path) -> tuple[Path, Path]:
    """The wheel and the sdist, which are built one from the other and pass ``twine check``."""
    run(sys.executable, "-m", "build", "--outdir", folder)  # the sdist, and the wheel from it
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    return wheel, sdist


def check_contents(wheel: Path, sdist: Path) -> None:
    """Every file of the package that git has is in both, and nothing else is in the wheel."""
    tracked = set(run("git", "ls-files", "src/assay").split())
    with zipfile.ZipFile(wheel) as archive:
        inside = {f"src/{name}" for name in archive.namelist() if name.startswith("assay/")}
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for what, missing in (("wheel", tracked - inside), ("sdist", tracked - names), ("checkout", inside - tracked)):
        if missing:
            sys.exit(f"not in the {what}: {', '.join(sorted(missing)[:10])}")


def try_wheel(wheel: Path, folder: Path) -> None:
    """Install it, and run a study from a folder that is no checkout."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", wheel, cwd=folder)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # Behind the environment's own packages, so that the wheel's is the one that is found.
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    place = Path(run(python, "-c", "import assay; print(assay.__file__)", cwd=folder).strip())
    if site not in place.parents:
        sys.exit(f"{place} was imported, not the wheel in {site}")
    (folder / "smoke.toml").write_text(STUDY)
    assay = python.with_name("assay.exe" if os.name == "nt" else "assay")
    version = run(assay, "--version", cwd=folder).split()[-1]
    if version not in wheel.name:
        sys.exit(f"{wheel.name} says that it is version {version}")
    run(assay, "describe", "smoke.toml", cwd=folder)
    printed = run(assay, "run", "smoke.toml", cwd=folder)
    if "4 runs: 4 finished" not in printed or not (folder / "assay-store/reports/smoke.html").exists():
        sys.exit(f"the study did not run as it should:\n{printed}")


def main() -> None:
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    wheel, sdist = built(dist)
    check_contents(wheel, sdist)
    with tempfile.TemporaryDirectory() as folder:
        try_wheel(wheel, Path(folder))
    for path in (wheel, sdist):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
