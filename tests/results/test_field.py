"""The promises of sets and refusal on real images: MNIST, Fashion-MNIST and CIFAR-10, as the decision note has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import assay
from assay.data import prepare
from assay.prediction.conformal import fit_sets
from assay.results.answers import AnswerRequest, answers_of
from assay.results.model import find_run, load_models
from assay.spec import Data

from ..helpers import small_study

pytestmark = pytest.mark.slow

LAYERS = ["conv 16 3x3 relu", "maxpool 2", "conv 32 3x3 relu", "maxpool 2", "flatten", "dense 64 relu",
          "dense classes softmax"]  # fmt: skip


@pytest.mark.parametrize(("name", "other"), [("mnist", "fashion_mnist"), ("fashion_mnist", "mnist")])
def test_promises_on_real_images(
    name: str, other: str, tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_DATA", str(real_data))
    study = small_study(
        data={"name": name, "validation": 5000},
        network={"layers": LAYERS},
        factors={},
        training={"epochs": 2, "batch_size": 128},
        seeds={"count": 1},
    )
    assay.run(study, store=tmp_path)
    record, run = find_run("small", tmp_path)
    (model,) = load_models(record, [run], tmp_path)
    answers = answers_of(model, AnswerRequest(sets=0.9, refuse=0.05))
    test = prepare(Data(name=name)).test()
    own = answers.unlike(test.images[:2000])
    assert own is not None
    assert (own > 1).mean() == pytest.approx(0.05, abs=0.03)
    strangers = {other: np.asarray(prepare(Data(name=other)).test().images[:2000])}
    if (real_data / "cifar10_jpeg").exists():
        colour = prepare(Data(path=str(real_data / "cifar10_jpeg"))).test().images[:2000]
        strangers["cifar"] = model.input_reader(resize=True).array(np.asarray(colour))
    for foreign in strangers.values():
        far = answers.unlike(foreign)
        assert far is not None
        assert roc_auc_score(np.repeat([0, 1], [len(own), len(far)]), np.concatenate([own, far])) >= 0.95

    probabilities, labels = model.probabilities(test.images), np.asarray(test.labels)
    for method in ("adaptive", "regularized"):
        held = [_coverage(probabilities, labels, method, seed) for seed in range(100)]
        assert np.mean(held) == pytest.approx(0.9, abs=0.002)
        assert np.abs(np.array(held) - 0.9).max() < 0.03  # five deviations of one split


def _coverage(probabilities: NDArray[np.float32], labels: NDArray[np.int64], method: str, seed: int) -> float:
    rng = np.random.default_rng(seed)
    order, draws = rng.permutation(len(labels)), rng.random(len(labels))
    known, new = order[:5000], order[5000:]
    rule = fit_sets(probabilities[known], labels[known], draws[known], method=method)  # type: ignore[arg-type]
    return float(rule.sets(probabilities[new], draws[new])[np.arange(len(new)), labels[new]].mean())
