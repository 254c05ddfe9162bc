"""Pictures of where a run fails, and how far it can be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import Problem, SpecError
from ...explain import figures
from ...explain.activations import penultimate_features
from ...explain.agreement import agreement
from ...explain.calibration import calibration, rejection
from ...explain.mistakes import ConfusedPair, class_scores, confused_pairs, confusion_matrix, losses_of, top_losses
from ...explain.picture import Picture
from ...explain.projection import project
from ...numerals import counted
from ...store import RunRecord
from ..model import load_models, runs_of_arm
from ..recorded import split_of_run
from .request import PictureRequest
from .subject import Subject

_POINTS = 2000
_SHOWN = 16


def confusion(subject: Subject, request: PictureRequest) -> list[Picture]:
    """The confusion matrix."""
    matrix, classes = _matrix(subject), subject.classes
    wrong = int(matrix.sum() - np.trace(matrix))
    most_confused = confused_pairs(matrix, count=1)
    example = ""
    if most_confused:
        (pair,) = most_confused
        example = (
            f" Most often mixed up: {classes[pair.a]} and {classes[pair.b]} "
            f"({counted(pair.a_for_b + pair.b_for_a, 'time')})."
        )
    caption = (
        f"{counted(len(subject.labels), f'{subject.split} image')}, {wrong:,} of them wrong: rows are true classes, "
        f"columns are predicted ones. Colour marks mistakes only.{example}"
    )
    rates = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    data = {"classes": list(classes), "counts": matrix.tolist(), "rates": rates.round(6).tolist()}
    return [
        Picture(
            "confusion", "Confusion matrix", caption,
            lambda theme: figures.confusion_panels(matrix, classes, theme=theme), data,
            lambda theme: figures.confusion_panels(matrix, classes, is_narrow=True, theme=theme),
        )
    ]  # fmt: skip


def classes(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Precision, recall and F1 of every class."""
    scores, names = class_scores(_matrix(subject)), subject.classes
    weakest = int(np.nanargmin(scores.f1))
    caption = (
        "Precision: of the images taken for a class, those that are of it. Recall: of the class's images, those that "
        f"are found. F1: the harmonic mean of both. The weakest class is {names[weakest]} "
        f"(F1 {100 * scores.f1[weakest]:.1f} %)."
    )
    data = {
        name: {
            "precision": float(scores.precision[at]),
            "recall": float(scores.recall[at]),
            "f1": float(scores.f1[at]),
            "images": int(scores.support[at]),
        }
        for at, name in enumerate(names)
    }
    return [
        Picture(
            "classes", "How well each class is recognised", caption,
            lambda theme: figures.class_dots(scores, names, theme=theme), data,
        )
    ]  # fmt: skip


def pairs(subject: Subject, request: PictureRequest) -> list[Picture]:
    """The classes that are mixed up most, with examples."""
    confused, names = confused_pairs(_matrix(subject)), subject.classes
    if not confused:
        raise SpecError(Problem(f"the run gets every {subject.split} image right", "there is no mistake to show"))
    order = np.argsort(-losses_of(subject.probabilities, subject.labels), kind="stable")

    def examples(own: int, other: int) -> NDArray[np.int64]:
        is_such = (subject.labels[order] == own) & (subject.predicted[order] == other)
        images: NDArray[np.int64] = order[is_such][:5]
        return images

    def row(pair: ConfusedPair) -> figures.PairRow:
        a_for_b, b_for_a = examples(pair.a, pair.b), examples(pair.b, pair.a)
        return figures.PairRow(
            names[pair.a], names[pair.b], pair.a_for_b, pair.b_for_a, subject.images[a_for_b], subject.images[b_for_a]
        )

    rows = [row(pair) for pair in confused]
    caption = (
        f"The pairs of classes that are mixed up most often, with the costliest {subject.split} images of each kind."
    )
    data = [
        {
            "a": names[pair.a], "b": names[pair.b], "a_for_b": pair.a_for_b, "b_for_a": pair.b_for_a,
            "share": round(pair.share, 6),
            "images": subject.places[[*examples(pair.a, pair.b), *examples(pair.b, pair.a)]].tolist(),
        }
        for pair in confused
    ]  # fmt: skip
    return [
        Picture(
            "pairs", "The classes that are mixed up most", caption,
            lambda theme: figures.pair_rows(rows, theme=theme), {"pairs": data},
        )
    ]  # fmt: skip


def losses(subject: Subject, request: PictureRequest) -> list[Picture]:
    """The images with the highest loss."""
    order = top_losses(subject.probabilities, subject.labels, count=24)
    values, names = losses_of(subject.probabilities, subject.labels)[order], subject.classes
    titles = [
        f"#{subject.places[at]}  {loss:.1f}\n{_cut(names[subject.labels[at]])} as\n{_cut(names[subject.predicted[at]])}"
        if subject.predicted[at] != subject.labels[at]
        else f"#{subject.places[at]}  {loss:.1f}\n{_cut(names[subject.labels[at]])},\nright"
        for at, loss in zip(order, values, strict=True)
    ]
    titles = [title.replace(" as\n", " as ") if _is_short(names) else title for title in titles]
    titles = [title.replace(",\nright", ", right") if _is_short(names) else title for title in titles]
    caption = (
        f"The {subject.split} images with the highest loss: the image's number and its loss in nats, its class and "
        "the predicted class. Wrong labels tend to appear here."
    )
    data = [
        {
            "image": int(subject.places[at]), "class": names[subject.labels[at]],
            "predicted": names[subject.predicted[at]], "loss": round(float(loss), 5),
            **({} if subject.files is None else {"file": subject.files[subject.places[at]]}),
        }
        for at, loss in zip(order, values, strict=True)
    ]  # fmt: skip
    return [
        Picture(
            "losses", "The images with the highest loss", caption,
            lambda theme: figures.image_gallery(subject.images[order], titles, theme=theme), {"images": data},
            lambda theme: figures.image_gallery(subject.images[order], titles, is_narrow=True, theme=theme),
        )
    ]  # fmt: skip


def trust(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Reliability diagram and expected calibration error."""
    reliability = calibration(subject.probabilities, subject.labels)
    gap = reliability.mean_confidence - reliability.mean_accuracy
    direction = "more" if gap > 0 else "less"
    caption = (
        "Of the images that the network is about so sure of, how many does it get right? Points on the dashed line are "
        "calibrated; below it the network claims too much. Bars are 95 % intervals. On average it is "
        f"{100 * abs(gap):.2g} points {direction} sure than right; the expected calibration error is "
        f"{100 * reliability.error:.2g} %."
    )
    data = {
        "error": reliability.error,
        "mean_confidence": reliability.mean_confidence,
        "accuracy": reliability.mean_accuracy,
        "n": reliability.n,
        "bins": [
            {"low": float(low), "high": float(high), "images": int(n), "confidence": float(c), "accuracy": float(a)}
            for low, high, n, c, a in zip(
                reliability.edges,
                reliability.edges[1:],
                reliability.counts,
                reliability.confidence,
                reliability.accuracy,
                strict=False,
            )
            if n
        ],
    }
    return [
        Picture(
            "calibration", "Is it right as often as it claims?", caption,
            lambda theme: figures.calibration_curve(reliability, theme=theme), data,
        )
    ]  # fmt: skip


def confidence(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Accuracy over the most confident images."""
    curve = rejection(subject.probabilities, subject.labels)
    half = curve.accuracy[(len(curve.kept) - 1) // 2]
    caption = (
        "Accuracy on the most confident predictions, by the share of images kept: what handing the others "
        f"to a person would gain. On the more confident half it is {100 * half:.2f} %, on all images "
        f"{100 * curve.accuracy[-1]:.2f} %."
    )
    shares = (0.5, 0.8, 0.9, 0.95, 0.98, 1.0)
    places = [max(0, round(share * len(curve.kept)) - 1) for share in shares]
    data = {
        "points": [
            {"kept": share, "accuracy": float(curve.accuracy[at]), "confidence": float(curve.confidence[at])}
            for share, at in zip(shares, places, strict=True)
        ]
    }
    return [
        Picture(
            "confidence", "Accuracy on the images that it is sure of", caption,
            lambda theme: figures.rejection_curve(curve, theme=theme), data,
        )
    ]  # fmt: skip


def seeds(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Which mistakes all runs of the arm make, and on which chance decides."""
    record, arm = subject.model.study, subject.model.run.arm
    if subject.model.is_retrained:
        what = f"{subject.model.run.label} of {arm} was trained anew, and agreement is of the study's own runs"
        raise SpecError(Problem(what, "explain a run of the study"))
    runs = runs_of_arm(record, arm)
    if len(runs) < 2:
        raise SpecError(Problem(f"{arm} has one finished run", "agreement needs two: add a seed"))
    if subject.split == "test" and not record.is_leaky:
        runs = tuple(run for run in runs if run.id in record.test_hits)
        if len(runs) < 2:
            what = f"{arm} has {counted(len(runs), 'run')} whose mistakes on the test images are stored"
            raise SpecError(Problem(what, "agreement needs two: `assay reveal` scores all that have finished"))
    images, labels, hits, is_judged = _hits(subject, runs)
    result = agreement(hits, is_judged)
    if not len(result.images):
        fix = 'validate on the same images: validation = { last = 5000 }, or leave "split" out of [seeds] vary'
        raise SpecError(Problem("no validation image is left out of training by two runs", fix))
    hard, chancy = result.hard[:_SHOWN], result.chancy[:_SHOWN]
    missed = dict(zip(result.images.tolist(), zip(result.missed, result.scored, strict=True), strict=True))

    def titled(at: int) -> str:
        wrong, of = missed[at]
        title = (
            f"#{at}  {_cut(subject.classes[labels[at]])}"
            if _is_short(subject.classes)
            else (f"#{at}\n{_cut(subject.classes[labels[at]])}")
        )
        return title if wrong == of == len(runs) else f"{title}\n{wrong} of {of} miss it"

    none, some, every = result.counts.tolist()
    expected = result.expected[2]
    judged_by_all = is_judged is None or is_judged[:, result.images].all()
    whom = counted(len(runs), "run") if judged_by_all else "the runs that did not train on each"
    caption = (
        f"{counted(len(result.images), subject.split + ' image')}, classified by {whom}: {none:,} are missed by "
        f"none, {some:,} "
        f"by some (chance decides: another seed may get them right) and {every:,} by every run, where {expected:.1f} "
        "would be expected if runs erred independently. What every run misses is hard, or labelled wrongly."
    )
    data = {
        "runs": len(runs),
        "images": len(result.images),
        "missed_by": {"none": none, "some": some, "every": every},
        "expected_if_independent": dict(zip(("none", "some", "every"), result.expected.round(3).tolist(), strict=True)),
        "hard": result.hard.tolist(),
        "chancy": result.chancy.tolist(),
    }
    drawn = (images[hard], [titled(at) for at in hard]), (images[chancy], [titled(at) for at in chancy])
    return [
        Picture(
            "agreement", "What every seed misses, and what chance decides", caption,
            lambda theme: figures.agreement_panels(result, *drawn, theme=theme), data,
        )
    ]  # fmt: skip


def _hits(
    subject: Subject, runs: tuple[RunRecord, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Images, labels, and by run what is right, and what counts because the run did not train on it."""
    record, dataset = subject.model.study, subject.model.dataset
    if subject.split == "test" and not record.is_leaky:
        packed = np.array([np.frombuffer(record.test_hits[run.id], np.uint8) for run in runs])
        hits = np.unpackbits(packed, axis=1, count=len(subject.labels)).astype(bool)
        return subject.images, subject.labels, hits, None
    store = subject.model.store
    models = load_models(record, runs, store)
    if record.is_leaky:
        every = np.array([model.probabilities(subject.images).argmax(1) == subject.labels for model in models])
        return subject.images, subject.labels, every, None
    data = dataset.training()
    hits, is_judged = (np.zeros((len(runs), len(data)), bool) for _ in range(2))
    for at, model in enumerate(models):
        chosen = split_of_run(record, model.run, data).validation
        is_judged[at, chosen] = True
        hits[at, chosen] = model.probabilities(data.images[chosen]).argmax(1) == data.labels[chosen]
    return data.images, data.labels, hits, is_judged


def features(subject: Subject, request: PictureRequest) -> list[Picture]:
    """Images where the last layer sees them."""
    count = min(_POINTS, len(subject.labels))
    projected = project(penultimate_features(subject.model.network, subject.batches(count)), request.projection)
    labels, predicted, names = subject.labels[:count], subject.predicted[:count], subject.classes
    how = "t-SNE" if request.projection == "tsne" else "principal components"
    caption = (
        f"{counted(count, f'{subject.split} image')} as the last layer sees them, flattened by {how}; crosses are "
        "mistakes. Classes that lie apart are easily told apart."
    )
    data = {
        "projection": request.projection,
        "shares": list(projected.shares) if projected.shares else None,
        "points": projected.points.round(4).tolist(),
        "images": subject.places[:count].tolist(),
    }
    return [
        Picture(
            "features", "Images as the last layer sees them", caption,
            lambda theme: figures.feature_map(projected, labels, predicted, names, theme=theme), data,
        )
    ]  # fmt: skip


def _matrix(subject: Subject) -> NDArray[np.int64]:
    return confusion_matrix(subject.labels, subject.predicted, len(subject.classes))


def _cut(name: str) -> str:
    return name if len(name) <= 13 else f"{name[:12]}…"


def _is_short(names: tuple[str, ...]) -> bool:
    return max(map(len, names)) <= 5
