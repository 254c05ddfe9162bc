"""From a file of chest X-rays to a decision, in one command: python examples/xray.py pneumonia_imbalanced.npz

What each step says, and how to read it: docs/tutorials/xray.md. Everything goes to a folder (``--output``, ``xray``
unless given): the store, the report, the exported network with its model card, and ``summary.md``, what is printed.
The sealed test images are looked at once, in step 6.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import assay
from assay.data import look, prepare

STUDY, CLASS, SENSITIVITY = "pneumonia-balance", "ill", 0.95
# On PneumoniaMNIST's test images, from Yang et al. (2023): area under the ROC curve, accuracy. Its training set has
# 1,214 healthy images; the file that this example was written for has 388 of them.
PUBLISHED = {
    "ResNet-18, 28 pixels": (0.944, 0.854),
    "AutoKeras": (0.947, 0.878),
    "Google AutoML Vision": (0.991, 0.946),
}


class Summary:
    """Prints, and keeps what was printed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def heading(self, text: str) -> None:
        self.say(f"\n## {text}\n")

    def say(self, *sentences: str) -> None:
        for sentence in sentences:
            print(sentence, flush=True)
            self.lines.append(sentence)


def main(arguments: list[str] | None = None) -> Summary:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "file", type=Path, help="MedMNIST's arrays (train_images, train_labels, val_ and test_ of both)"
    )
    parser.add_argument("--output", type=Path, default=Path("xray"))
    parser.add_argument("--seeds", type=int, help="runs of each arm; the study's 12 unless given")
    parser.add_argument("--epochs", type=int, help="passes over the training images; the study's unless given")
    asked = parser.parse_args(arguments)
    started, summary, store = time.monotonic(), Summary(), asked.output / "store"
    data = assay.Data(path=str(asked.file.resolve()), validation="given", read={"classes": ["healthy", "ill"]})
    study = assay.load(STUDY, data=data)
    changes: dict[str, Any] = {}
    if asked.seeds:
        changes["seeds"] = study.seeds.model_copy(update={"count": asked.seeds})
    if asked.epochs:
        changes["training"] = {**study.training, "epochs": asked.epochs}
    study = study.model_copy(update=changes)

    summary.say("# Chest X-rays: from a file to a decision")
    _look_at(study.data, summary)
    result = _train(study, store, summary)
    _measure(result, "validation", summary)
    _decide(result, summary)
    _stress(result, summary)
    _open(result, summary)
    _hand_over(result, asked.output, summary)
    summary.say(f"\nAll of it took {(time.monotonic() - started) / 60:.1f} minutes.")
    (asked.output / "summary.md").write_text("\n".join([*summary.lines, ""]))
    return summary


def _look_at(data: assay.Data, summary: Summary) -> None:
    summary.heading("1. What is in the file")
    dataset = prepare(data)
    seen = look(dataset)
    info, survey = dataset.info, seen.survey
    counts = ", ".join(f"{count:,} {name}" for name, count in zip(info.classes, survey.counts, strict=True))
    summary.say(
        f"{info.num_training:,} images to learn and choose from ({counts}), {info.num_validation:,} of them the file's "
        f"own validation part; {info.num_test:,} sealed test images. {survey.balance}"
    )
    summary.say(
        f"Copies of test images among the others: {survey.exact.across} exact, {survey.near.across} near. Labels that "
        f"look wrong: {len(seen.suspects)}."
    )
    groups = dataset.training().groups
    summary.say(
        "The file does not say which images are of one patient, so nobody can tell whether one is on both sides."
        if groups is None
        else f"{len(set(groups.tolist())):,} groups of images that belong together; no split divides one."
    )


def _train(study: assay.Study, store: Path, summary: Summary) -> assay.Result:
    summary.heading("2. The question, and its answer")
    summary.say(study.question)
    result = assay.run(study, store=store)
    summary.say(*(f"{sentence}." for sentence in result.compare().sentences))
    return result


def _measure(result: assay.Result, split: Any, summary: Summary) -> None:
    summary.heading("3. How good the networks are on validation images")
    _levels(result, split, summary)


def _levels(result: assay.Result, split: Any, summary: Summary) -> None:
    measures = ("balanced_accuracy", "macro_auc", "accuracy", "calibration_error")
    for metric in measures:
        frame = result.levels(split=split, metric=metric)
        summary.say(*(f"- {sentence}." for sentence in frame.attrs["sentences"][:-1]))
    summary.say(f"{result.levels(split=split).attrs['sentences'][-1]}.")


def _decide(result: assay.Result, summary: Summary) -> None:
    summary.heading("4. When to call an image ill")
    summary.say(f"Wanted: {100 * SENSITIVITY:g} % of the ill are found. Chosen on validation images alone.")
    summary.say(str(result.threshold(CLASS, sensitivity=SENSITIVITY)))


def _stress(result: assay.Result, summary: Summary) -> None:
    summary.heading("5. Darker, noisier, shifted: will it hold?")
    found = result.robustness(images=200)
    unit = found.measure.unit
    for arm in found.arms:
        by_kind = {name: float(arm.scores[:, place].mean()) for place, name in enumerate(found.corruptions)}
        worst = sorted(by_kind, key=lambda name: by_kind[name])[:3]
        text = ", ".join(f"{name.replace('_', ' ')} {unit.value(by_kind[name])}" for name in worst)
        summary.say(
            f"- {arm.arm}: {found.measure.label} {unit.value(float(arm.clean.mean()))} as it is, "
            f"{unit.value(float(arm.scores.mean()))} over all corruptions; worst: {text}."
        )
    overall = [one.sentence for one in found.verdicts if one.corruption == "all corruptions"]
    summary.say(*(f"{sentence}." for sentence in overall))


def _open(result: assay.Result, summary: Summary) -> None:
    summary.heading("6. The sealed test images, looked at once")
    result.reveal()
    _levels(result, "test", summary)
    summary.say(*(f"{sentence}." for sentence in result.compare(split="test").sentences))
    summary.say(str(result.threshold(CLASS, sensitivity=SENSITIVITY)))
    summary.say("\nPublished for PneumoniaMNIST (Yang et al. 2023), trained on all 1,214 healthy images:")
    for name, (auc, accuracy) in PUBLISHED.items():
        summary.say(f"- {name}: area under the ROC curve {auc:.3f}, accuracy {100 * accuracy:.1f} %.")


def _hand_over(result: assay.Result, folder: Path, summary: Summary) -> None:
    summary.heading("7. What is handed over")
    exported = result.export("safetensors", folder=folder / "network")
    report = result.report(folder / "report.html")
    summary.say(f"- The report: {report.name}", f"- The network with its model card: {exported.folder.name}/")


if __name__ == "__main__":
    main()
