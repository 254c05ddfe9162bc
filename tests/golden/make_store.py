"""Writes store-vN.sql for the current schema: run it once when a migration is released, never for an old one."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import numpy as np

from assay.store import (
    ArmRecord,
    CandidateRecord,
    ImageHits,
    KeptPredictions,
    TestScore,
    VerdictLook,
    open_writer,
    record_verdict_look,
)
from assay.store.files import DATABASE
from assay.store.schema import MIGRATIONS
from assay.train import EpochRecord


def main() -> None:
    target = Path(__file__).with_name(f"store-v{len(MIGRATIONS)}.sql")
    if target.exists():
        raise SystemExit(f"{target} is released; it never changes")
    with tempfile.TemporaryDirectory() as folder:
        with open_writer(Path(folder)) as writer:
            members = [(arm, seed, None, f"{arm}-{seed}") for seed in (0, 1) for arm in ("a", "b")]
            writer.put_study(
                name="golden",
                question="Is it so?",
                spec={"name": "golden"},
                data={"name": "digits"},
                arms=[ArmRecord("a", 0, {"x": "1"}, {}), ArmRecord("b", 1, {"x": "2"}, {})],
                members=members,
                runs=[(run, seed, 2, {"seed": seed}) for _, seed, _, run in members],
            )
            writer.put_started("golden", "a-0", {"threads": 1})
            measured = (0.5, 0.8, 0.4, 0.95, 0.6, 0.7, 0.001, 1.5)
            health = {"images": 4, "dead": {"conv1": 0.5}, "saturated": {}, "predicted": [4, 0], "actual": [2, 2]}
            writer.put_epochs("a-0", [EpochRecord(1, *measured), EpochRecord(2, *measured, health, {"macro_auc": 0.9})])
            hits = ImageHits.of("training", np.array([1, 4, 9, 12]), np.array([True, False, True, True]))
            logs = np.log(np.array([[0.5, 0.5], [0.25, 0.75], [0.125, 0.875], [0.75, 0.25]]))
            predictions = KeptPredictions.of(logs, np.array([0, 0, 1, 0]), np.array([0, 1, 0, 1]))
            writer.put_finished(
                "golden", "a-0", seconds=3.0, peak_memory_bytes=1, weights=("w", "hash", 1), kept_epoch=2, hits=hits,
                predictions=predictions,
            )  # fmt: skip
            writer.put_started("golden", "a-1", {"threads": 1})
            writer.put_failed("golden", "a-1", state="diverged", reason="it grew", advice="shrink it")
            writer.put_retrained("golden", [("a", 0, "a-0-on-all")], [("a-0-on-all", 0, 2, {"seed": 0})])
            searched = {"name": "searched", "search": {"space": {"x": [1, 2]}}}
            writer.begin_search(
                name="searched", question="Which?", spec=searched, data={"name": "digits"}, facts={"optuna": "5.0.0"}
            )
            writer.put_candidates(
                "searched",
                [
                    CandidateRecord(1, 1, {"x": "1"}, {"parameters": 10, "flops": 20}),
                    CandidateRecord(2, None, {"x": "2"}, {"parameters": 99, "flops": 20}, "99 parameters, above 50"),
                ],
            )
            writer.put_trial_runs("searched", [(1, 0, "x-0")], [("x-0", 0, 3, {"seed": 0})])
            writer.put_started("searched", "x-0", {"threads": 1})
            writer.put_epochs("x-0", [EpochRecord(1, *measured)])
            writer.put_paused("x-0", 1.5)
            writer.put_look(
                "golden", {"a-0": TestScore(0.1, 0.97, b"\xa0", predictions)}, num_runs=1, test_images="images"
            )
            record_verdict_look(Path(folder), "golden", VerdictLook(1, 1.8e9, 10, {"contrasts": {"b": [0, 1]}}))
        connection = sqlite3.connect(Path(folder) / DATABASE)
        dump = "\n".join(connection.iterdump())
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.close()
    target.write_text(f"{dump}\nPRAGMA user_version = {version};\n")


if __name__ == "__main__":
    main()
