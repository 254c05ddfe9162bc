"""How soon the page of a large study is painted and whole, in headless Chromium.

    python benchmarks/scale.py --arms 50 --seeds 100 --epochs 10 --store large        # a store of 5,000 made-up runs
    python benchmarks/first_paint.py large scale

Starts `assay serve` on the store, and opens the study's page in a new browser each time. Told are milliseconds from the
request to the first contentful paint, and to the table of runs; the first time, the server has read nothing yet.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PAINT = "() => performance.getEntriesByName('first-contentful-paint').map(one => one.startTime)[0]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("study")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    told = parser.parse_args()
    command = [sys.executable, "-m", "assay", "serve", "--store", str(told.store), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ})
    try:
        assert server.stdout is not None
        url = next(found[0] for line in server.stdout if (found := re.search(r"http://[\d.:]+", line)))
        samples = [measure(f"{url}/studies/{told.study}", told.chromium) for _ in range(told.times)]
    finally:
        server.terminate()
        server.wait()
    for number, (paint, table) in enumerate(samples, start=1):
        print(f"{number}: first paint {paint:.0f} ms, table of runs {table:.0f} ms")
    print("median:", *(f"{statistics.median(one):.0f} ms" for one in zip(*samples, strict=True)))


def measure(url: str, chromium: str) -> tuple[float, float]:
    """Milliseconds to the first contentful paint and to the first row of the table of runs."""
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(url, wait_until="commit")
        page.locator("#runs tbody tr:not(.space)").first.wait_for(timeout=60_000)
        table = page.evaluate("() => performance.now()")
        paint = page.evaluate(PAINT)
        browser.close()
    return paint, table


if __name__ == "__main__":
    main()
