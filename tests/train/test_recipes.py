"""CutMix, stochastic weight averaging, distillation and ensembles: against definitions, torch, and the runs alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn.functional import cross_entropy, log_softmax, softmax
from torch.optim.swa_utils import AveragedModel, update_bn

from assay.data import TrainingData, prepare
from assay.errors import RunError
from assay.nets import parse, summarize
from assay.nets.build import Network, build
from assay.seeds import STREAMS, Streams
from assay.spec import Arm, Data, Distillation, Training
from assay.train import EpochRecord
from assay.train.augment import cutmix
from assay.train.checkpoint import save_weights
from assay.train.engine import batch_of, evaluate, learner_of, split_of, train
from assay.train.features import features_of
from assay.train.fused.learner import FusedLearner
from assay.train.learner import Batch, Learner, Objective
from assay.train.networks import network_of
from assay.train.plain import PlainLearner
from assay.train.predictor import predictor_of
from assay.train.scaling import Scaling
from assay.train.statistics import with_statistics
from assay.train.task import Task

from ..helpers import same_weights

LAYERS = ["conv 4 3x3 relu", "batchnorm", "maxpool 2", "dropout 0.3", "flatten", "dense classes softmax"]
KEY = 2**63 + 12345


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data() -> TrainingData:
    return prepare("digits").training()


def task(layers: list[str] = LAYERS, *, teacher: Arm | None = None, **training: Any) -> Task:
    images, labels = prepare("digits").training_files()
    values = {"name": "a", "layers": layers, "training": {"epochs": 4, "batch_size": 50, **training}}
    arm = Arm.of(values).model_copy(update={"teacher": teacher})
    data = Data(name="digits", validation=0.2)
    return Task("run-1", arm, data, 0, STREAMS, 10, images, labels, Path("unused"))


def measures(history: tuple[EpochRecord, ...]) -> list[EpochRecord]:
    return [dataclasses.replace(record, seconds=0.0) for record in history]


# CutMix


def test_cutmix_pastes_one_rectangle_of_the_partner_and_counts_its_pixels() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 9, 12, 3), dtype=np.uint8)
    before = images.copy()
    pasted, partner, share = cutmix(images, 1.0, KEY)
    assert np.array_equal(images, before)
    assert sorted(partner) == list(range(400))
    for one, own, other, left in zip(pasted, images, images[partner], share, strict=True):
        assert np.array_equal(one, np.where((one != own).any(2, keepdims=True), other, own))
        # Colours are so many that a pixel that changed was pasted; some of the partner's may be the same by chance.
        changed = np.argwhere((one != own).any(2))
        if not len(changed):
            continue
        (top, left_edge), (bottom, right) = changed.min(0), changed.max(0) + 1
        assert np.array_equal(one[top:bottom, left_edge:right], other[top:bottom, left_edge:right])
        assert left == pytest.approx(1 - (bottom - top) * (right - left_edge) / (9 * 12), abs=1e-6)
    again = cutmix(images, 1.0, KEY)
    assert np.array_equal(again[0], pasted)
    assert not np.array_equal(cutmix(images, 1.0, KEY + 1)[0], pasted)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_shares_of_cutmix_are_those_of_rectangles_cut_off_at_the_border(alpha: float) -> None:
    """Against the definition, drawn apart: sides sqrt(1 - share), a uniform centre, what lies outside cut off."""
    images = np.zeros((4000, 64, 64, 1), np.uint8)
    _, _, share = cutmix(images, alpha, KEY)
    rng = np.random.default_rng(1)
    side = np.sqrt(1 - rng.beta(alpha, alpha, 4000)) * 64
    middle = rng.uniform(0, 64, (2, 4000))
    kept = [np.clip(m + side / 2, 0, 64) - np.clip(m - side / 2, 0, 64) for m in middle]
    expected = 1 - kept[0] * kept[1] / 64**2
    assert stats.ks_2samp(share, expected).statistic < 0.05  # pixels are whole; 0.04 is the 1 % point without that


def test_a_cutmix_batch_has_both_classes_by_their_shares(data: TrainingData) -> None:
    run = task(augmentation={"cutmix": 1.0})
    chosen = split_of(run, data).training[:50]
    batch = batch_of(run, data, chosen, 3)
    key = run.streams.key("augment", 3)
    images, partner, share = cutmix(np.asarray(data.images[chosen]), 1.0, key)
    labels = np.asarray(data.labels[chosen])
    assert np.array_equal(batch.images, images)
    assert batch.partners is not None
    assert batch.shares is not None
    assert np.array_equal(batch.partners, labels[partner])
    assert np.array_equal(batch.shares, share)


# Stochastic weight averaging


def test_the_average_and_its_statistics_are_those_of_torch() -> None:
    """Three models averaged by torch's AveragedModel, statistics by update_bn: two BatchNorm layers, no dropout."""
    words = ["conv 3 3x3 relu", "batchnorm", "flatten", "dense 6 relu", "batchnorm", "dense classes softmax"]
    models = [build(parse(words), (6, 6, 1), 4, Streams(seed)) for seed in range(3)]
    averaged = AveragedModel(models[0], use_buffers=False)
    for model in models:
        averaged.update_parameters(model)
    mean = {
        name: torch.stack([model.state_dict()[name] for model in models]).mean(0)
        for name, _ in models[0].named_parameters()
    }
    for name, value in averaged.module.named_parameters():
        assert torch.allclose(value, mean[name], atol=1e-7)

    rng = np.random.default_rng(0)
    batches = [torch.from_numpy(rng.random((size, 1, 6, 6), np.float32)) for size in (8, 8, 8)]
    reference = _as_torch(averaged.module)
    update_bn(batches, reference)
    network = build(parse(words), (6, 6, 1), 4, Streams(9))
    weights = {**models[0].state(), **{name: value.detach() for name, value in averaged.module.named_parameters()}}
    ours = with_statistics(network, weights, batches)
    for name, layer in zip(("batchnorm1", "batchnorm2"), (reference[2], reference[7]), strict=True):
        assert torch.allclose(ours[f"{name}.moving_mean"], layer.running_mean, atol=1e-5)
        # torch's variance is unbiased within a batch, ours is that which normalizes it.
        count = 8 * 16 if name == "batchnorm1" else 8
        unbiased = ours[f"{name}.moving_variance"] * count / (count - 1)
        assert torch.allclose(unbiased, layer.running_var, rtol=1e-4)
    assert not network.training
    assert network.get_submodule("batchnorm1").momentum == 0.99  # for whatever trains next


def _as_torch(network: nn.Module) -> nn.Sequential:
    state = network.state_dict()
    conv, dense, last = nn.Conv2d(1, 3, 3), nn.Linear(48, 6), nn.Linear(6, 4)
    norms = nn.BatchNorm2d(3, eps=1e-3), nn.BatchNorm1d(6, eps=1e-3)
    with torch.no_grad():
        for layer, name in ((conv, "conv1"), (dense, "dense1"), (last, "dense2")):
            layer.weight.copy_(state[f"{name}.kernel"])
            layer.bias.copy_(state[f"{name}.bias"])

    class ChannelsLast(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values.permute(0, 2, 3, 1)

    return nn.Sequential(
        conv, nn.ReLU(), norms[0], ChannelsLast(), nn.Flatten(), dense, nn.ReLU(), norms[1], last
    )  # fmt: skip


def test_batches_count_by_their_images() -> None:
    network = build(parse(["batchnorm", "flatten", "dense classes softmax"]), (2, 2, 1), 3, Streams(0))
    batches = [torch.full((3, 1, 2, 2), 1.0), torch.full((1, 1, 2, 2), 5.0)]
    weights = with_statistics(network, network.state(), batches)
    assert weights["batchnorm1.moving_mean"].item() == pytest.approx(2.0)
    assert weights["batchnorm1.moving_variance"].item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("is_fused", [True, False], ids=["fused", "plain"])
def test_swa_keeps_the_mean_of_late_epochs_with_statistics_of_its_own(data: TrainingData, is_fused: bool) -> None:
    """The weights of epochs 3 and 4 of the run without averaging, averaged by hand."""
    # No kernel normalizes vectors of an odd length.
    layers = LAYERS if is_fused else ["conv 5 3x3 relu", *LAYERS[1:-1], "layernorm", LAYERS[-1]]
    plain = {"optimizer": {"name": "sgd", "learning_rate": 0.05}}
    run = task(layers, swa={"start": 0.5}, **plain)
    assert learner_of(run, data).path == ("fused" if is_fused else "plain")
    swa = train(run, data)
    ends = [train(task(layers, stop_after=epoch, **plain), data).weights for epoch in (3, 4)]
    for name in ("conv1.kernel", "conv1.bias", "batchnorm1.gamma", "dense1.kernel"):
        assert torch.allclose(swa.weights[name], (ends[0][name] + ends[1][name]) / 2, atol=1e-6), name
    moving = swa.weights["batchnorm1.moving_mean"]
    assert not torch.allclose(moving, ends[1]["batchnorm1.moving_mean"], atol=1e-3)
    # What the layer sees of the training images, but for dropout, which comes behind it.
    predictor = predictor_of(run, data)
    predictor.load_weights(swa.weights)
    seen: list[torch.Tensor] = []
    layer = predictor.network.get_submodule("batchnorm1")
    layer.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    predictor.probabilities(np.asarray(data.images[split_of(run, data).training]))
    values = torch.cat(seen)
    assert torch.allclose(moving, values.mean((0, 2, 3)), atol=1e-4)
    # Before the first averaged epoch, and in its training throughout, it is the run without averaging.
    alone = train(task(layers, **plain), data)
    assert measures(swa.history)[:2] == measures(alone.history)[:2]
    assert [r.running_loss for r in swa.history] == [r.running_loss for r in alone.history]
    # What is recorded is what is kept.
    learner = learner_of(run, data)
    learner.load_weights(swa.weights)
    judged = evaluate(learner, data, split_of(run, data).validation)
    assert judged == (swa.history[-1].validation_loss, swa.history[-1].validation_accuracy)


def test_swa_holds_a_rate_of_its_own(data: TrainingData) -> None:
    run = task(swa={"start": 0.5, "learning_rate": 0.03}, schedule="cosine",
               optimizer={"name": "sgd", "learning_rate": 0.1})  # fmt: skip
    rates = [record.learning_rate for record in train(run, data).history]
    assert rates[2:] == [0.03, 0.03]
    assert rates[0] > rates[1] > 0.03


# Distillation


def pair(objective: Objective) -> tuple[PlainLearner, FusedLearner]:
    training = Training.of({"optimizer": {"name": "sgd", "learning_rate": 0.1}})
    words = ["conv 5 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]
    network = build(parse(words), (12, 12, 1), 10, Streams(3))
    scaling = Scaling(torch.zeros(1), torch.full((1,), 1 / 255))
    plain = PlainLearner(network, training.optimizer, scaling, training=training, objective=objective)
    fused = FusedLearner(
        summarize(parse(words), (12, 12, 1), 10), training.optimizer, scaling, precision="float32", batch_size=40,
        streams=Streams(3), threads=1, training=training, objective=objective,
    )  # fmt: skip
    fused.load_weights(plain.weights())
    return plain, fused


def some_batch(rng: np.random.Generator, count: int, *, is_mixed: bool) -> Batch:
    images = rng.integers(0, 256, (count, 12, 12, 1), dtype=np.uint8)
    classes = rng.integers(0, 10, count)
    teacher = rng.dirichlet(np.ones(10), count).astype(np.float32)
    if not is_mixed:
        return Batch(images, np.arange(count), classes, teacher=teacher)
    partners, shares = rng.integers(0, 10, count), rng.random(count, np.float32)
    return Batch(images, np.arange(count), classes, partners, shares, teacher)


@pytest.mark.parametrize("is_mixed", [False, True], ids=["labels", "mixed labels"])
def test_the_teacher_s_part_of_the_loss_is_its_definition_on_both_paths(is_mixed: bool) -> None:
    """Several steps, the last batch short: loss and weights against autograd on the formula."""
    settings = Distillation(teacher="t", temperature=3.0, weight=0.7)
    weights = np.linspace(0.5, 2, 10, dtype=np.float32)
    objective = Objective(weights, 0.1, settings)
    learners: tuple[Learner, ...] = pair(objective)
    rng = np.random.default_rng(0)
    batches = [some_batch(rng, count, is_mixed=is_mixed) for count in (40, 40, 17)]
    reference = pair(Objective())[0].network
    for step, batch in enumerate(batches):
        logits = reference(torch.from_numpy(batch.images.astype(np.float32) / 255).permute(0, 3, 1, 2))
        assert batch.teacher is not None

        def hard(classes: np.ndarray[Any, Any], logits: torch.Tensor = logits) -> torch.Tensor:
            labels = torch.from_numpy(classes)
            one = cross_entropy(logits, labels, reduction="none", label_smoothing=0.1)
            return torch.from_numpy(weights)[labels] * one

        labels = hard(batch.classes)
        if batch.partners is not None and batch.shares is not None:
            shares = torch.from_numpy(batch.shares)
            labels = shares * labels + (1 - shares) * hard(batch.partners)
        soft = -(torch.from_numpy(batch.teacher) * log_softmax(logits / 3, 1)).sum(1)
        loss = (0.3 * labels + 0.7 * 9 * soft).mean()
        gradients = torch.autograd.grad(loss, list(reference.parameters()))
        with torch.no_grad():
            for value, gradient in zip(reference.parameters(), gradients, strict=True):
                value -= 0.1 * gradient
        for learner in learners:
            mine, hits = learner.train_batch(batch, step=step, learning_rate=0.1)
            assert mine / len(batch) == pytest.approx(loss.item(), rel=1e-5)
            assert hits == int((logits.argmax(1).numpy() == batch.classes).sum())
    expected = reference.state_dict()
    for learner in learners:
        for name, value in learner.weights().items():
            assert float((value - expected[name]).norm() / expected[name].norm()) < 1e-5, (learner.path, name)


TEACHER = ["flatten", "dense 32 relu", "dense classes softmax"]


def taught_task(tmp_path: Path, data: TrainingData, **training: Any) -> Task:
    """A student of a small finished run."""
    own = task(TEACHER, epochs=6)
    path = tmp_path / "teacher.safetensors"
    if not path.exists():
        save_weights(path, train(own, data).weights, "teacher-run")
    settings = {"teacher": "t", "temperature": 2.0, "weight": 0.8}
    run = task(teacher=own.arm, distillation=settings, **training)
    return dataclasses.replace(run, teacher=path, teacher_run="teacher-run", teacher_seed=0)


def test_a_teacher_is_another_run_s_weights_or_the_run_fails(data: TrainingData, tmp_path: Path) -> None:
    run = taught_task(tmp_path, data)
    with pytest.raises(RunError, match="another run's"):
        train(dataclasses.replace(run, teacher_run="other"), data)
    (tmp_path / "teacher.safetensors").unlink()
    with pytest.raises(RunError, match="cannot be read"):
        train(run, data)
    with pytest.raises(RunError, match="is not there"):
        train(dataclasses.replace(run, teacher=None), data)


def test_a_student_whose_teacher_is_all_comes_to_agree_with_it(data: TrainingData, tmp_path: Path) -> None:
    """Temperature 1, weight 1, wrong labels: only the teacher can have taught it what it knows."""
    run = taught_task(tmp_path, data)
    wrong = dataclasses.replace(data, labels=(np.asarray(data.labels) + 1) % 10)
    settings = {"teacher": "t", "temperature": 1.0, "weight": 1.0}
    training = {"epochs": 20, "batch_size": 32, "distillation": settings}
    arm = run.arm.model_copy(update={"training": Training.of(training), "layers": tuple(TEACHER)})
    student = dataclasses.replace(run, arm=arm)
    trained = train(student, wrong)
    images = np.asarray(data.images[split_of(run, data).validation])
    answers = []
    assert run.arm.teacher is not None
    for one, weights in (
        (student, trained.weights),
        (dataclasses.replace(run, arm=run.arm.teacher), train(task(TEACHER, epochs=6), data).weights),
    ):
        predictor = predictor_of(one, data)
        predictor.load_weights(weights)
        answers.append(predictor.probabilities(images).argmax(1))
    assert (answers[0] == answers[1]).mean() > 0.85
    assert trained.history[-1].validation_accuracy < 0.1


# Ensembles


def test_an_ensemble_s_first_member_is_the_run_alone_and_the_others_have_draws_of_their_own(
    data: TrainingData,
) -> None:
    settings: dict[str, Any] = {"augmentation": {"shift": 1}, "precision": "float32"}
    run = task(ensemble=3, **settings)
    together, alone = train(run, data), train(task(**settings), data)
    members = [
        {name.removeprefix(f"member{n}."): value for name, value in together.weights.items() if f"member{n}." in name}
        for n in (1, 2, 3)
    ]
    assert same_weights(members[0], alone.weights)
    assert not same_weights(members[1], alone.weights)
    assert not same_weights(members[1], members[2])
    # The mean of the members' probabilities is what is recorded, kept and predicted.
    validation = split_of(run, data).validation
    images, labels = np.asarray(data.images[validation]), np.asarray(data.labels)[validation]
    single = predictor_of(task(**settings), data)
    probabilities = []
    for member in members:
        single.load_weights(member)
        probabilities.append(single.probabilities(images))
    mean = np.mean(probabilities, axis=0)
    whole = predictor_of(run, data)
    whole.load_weights(together.weights)
    assert np.allclose(whole.probabilities(images), mean, atol=1e-6)
    last = together.history[-1]
    assert last.validation_accuracy == (mean.argmax(1) == labels).mean()
    loss = -np.log(mean[np.arange(len(labels)), labels]).mean()
    assert last.validation_loss == pytest.approx(loss, abs=1e-5)
    assert np.allclose(np.exp(together.log_probabilities), mean, atol=1e-5)


def test_an_ensemble_counts_its_members(data: TrainingData) -> None:
    one, four = (
        network_of(task(**settings).arm, (8, 8, 1), 10, Streams(0)) for settings in ({}, {"ensemble": 4})
    )  # fmt: skip
    assert four.summary.parameters == 4 * one.summary.parameters
    assert four.summary.flops == 4 * one.summary.flops
    assert sum(value.numel() for value in four.parameters()) == 4 * one.summary.trainable
    images = torch.rand(5, 1, 8, 8)
    parts = [softmax(member(images), 1) for member in four.eval().children() if isinstance(member, Network)]
    assert torch.allclose(softmax(four(images), 1), torch.stack(parts).mean(0), atol=1e-6)


def test_members_draw_from_streams_of_their_own_but_for_the_split() -> None:
    plain, first, second = Streams(4), Streams(4, member=0), Streams(4, member=1)
    assert all(plain.key(stream, 1) == first.key(stream, 1) for stream in STREAMS)
    assert second.key("split", 1) == plain.key("split", 1)
    assert all(second.key(stream, 1) != plain.key(stream, 1) for stream in STREAMS if stream != "split")
    fixed = [Streams(seed, frozenset({"split"}), member=1).key("init") for seed in (0, 1)]
    assert fixed[0] == fixed[1] != Streams(0, frozenset({"split"})).key("init")


# All of them resume


class Killed(Exception):
    pass


RECIPES: dict[str, dict[str, Any]] = {
    "cutmix": {"augmentation": {"cutmix": 1.0, "shift": 1}},
    "swa, best": {"swa": {"start": 0.3}, "keep": {"best": "validation_loss"}, "augmentation": {"rotation": 5}},
    "ensemble, swa": {
        "ensemble": 2,
        "swa": {"start": 0.4},
        "early_stopping": {"metric": "validation_loss", "patience": 3},
    },
    "distillation": {"distillation": "taught"},
    "distillation, augmented": {"distillation": "taught", "ensemble": 2, "augmentation": {"shift": 1, "mixup": 0.3}},
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_resumed_recipe_is_the_run_that_never_stopped(data: TrainingData, tmp_path: Path, name: str) -> None:
    training = dict(RECIPES[name])
    is_taught = training.pop("distillation", None) is not None
    run = taught_task(tmp_path, data, **training) if is_taught else task(**training)
    whole = train(run, data)
    path = tmp_path / "checkpoint.safetensors"

    def kill(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise Killed

    torch.set_num_threads(2)  # and with any number of threads, on the kernels
    with pytest.raises(Killed):
        train(run, data, on_epoch=kill, checkpoint=path, threads=2)
    resumed = train(run, data, checkpoint=path, threads=2)
    assert same_weights(resumed.weights, whole.weights)
    assert measures(resumed.history) == measures(whole.history)
    assert whole.history[-1].running_loss < whole.history[0].running_loss


def test_members_of_a_base_share_its_cached_outputs(data: TrainingData) -> None:
    base = {"name": "squeezenet", "weights": "random", "until": "block1", "size": 20, "train": "all"}
    run = task(["flatten", "dense classes softmax"], ensemble=2, epochs=1)
    arm = Arm.of({**run.arm.model_dump(mode="json"), "base": base})
    trained = train(dataclasses.replace(run, arm=arm), data)
    assert {name.split(".")[0] for name in trained.weights} == {"member1", "member2"}
    assert features_of(dataclasses.replace(run, arm=arm), data) is data
