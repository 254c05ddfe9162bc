"""Prints how right the C programs of studies that were trained in whole numbers are on test images.

    python docs/evidence/program_scores.py STORE STUDY [STUDY ...]

Each study must have been revealed in the store. Every run's program answers all test images as NumPy computes it: the
C gives the same bits.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import assay
from assay.export.fixed_point import quantize
from assay.results.exports import calibration_images, portable_of
from assay.results.model import Model, load_models
from assay.stats import mean_interval


@dataclass(frozen=True)
class Score:
    """Test accuracies of a run's network and of its program, both as fractions, and what the program is."""

    trained: float
    program: float
    otherwise: int  # images that the program answers otherwise
    num_bytes: int

    @classmethod
    def of(cls, model: Model) -> Score:
        test = model.dataset.test()
        program = quantize(portable_of(model), calibration_images(model))
        answers, trained = (answer(test.images).argmax(1) for answer in (program.logits, model.once().probabilities))
        right, trained_right = (float(np.mean(given == test.labels)) for given in (answers, trained))
        return cls(trained_right, right, int(np.sum(answers != trained)), program.num_bytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("studies", nargs="+")
    given = parser.parse_args()
    for study in given.studies:
        record = assay.result(study, store=given.store).record
        for arm in dict.fromkeys(run.arm for run in record.runs):
            runs = [run for run in record.runs if run.arm == arm and run.test_accuracy is not None]
            assert len(runs) > 1, f"{study}: {arm} has fewer than two test scores; run and reveal it first"
            scores = [Score.of(model) for model in load_models(record, runs, given.store)]
            print(f"{study}, {arm}: {scores[0].num_bytes:,} bytes, n = {len(scores)}")
            for what in ("trained", "program"):
                mean = mean_interval([getattr(score, what) for score in scores])
                print(f"  {what} {mean.mean:.3%} [{mean.low:.3%}, {mean.high:.3%}]")
            fewest, most = (f(score.otherwise for score in scores) for f in (min, max))
            print(f"  the program answers {fewest} to {most} images otherwise")


if __name__ == "__main__":
    main()
