"""A network of one's own, from the study to the verdict and out of the store."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import assay
from assay.data import open_training, prepare
from assay.errors import NoCode, SpecError
from assay.nets import summary_of
from assay.nets.own import read_source
from assay.results.model import load_models
from assay.runner import make_plan
from assay.spec import Arm, Study, read_study
from assay.train.checkpoint import load_checkpoint
from assay.train.device import has_bfloat16
from assay.train.engine import checkpoint_name, train

from .helpers import same_weights, tasks_of
from .own_code import CONVNET, own_study, write

ONE = {"factors": {}}


def one(path: Path, call: str = "ConvNet()", **changes: object) -> Study:
    return own_study(path, call, **{**ONE, **changes})


def problem(text: str, folder: Path, call: str = "ConvNet()") -> str:
    with pytest.raises(SpecError) as caught:
        assay.describe(one(write(folder, text), call))
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_a_module_trains_to_a_verdict(tmp_path: Path) -> None:
    study = own_study(write(tmp_path / "code"), training={"epochs": 6, "batch_size": 32}, seeds={"count": 6})
    result = assay.run(study)
    record = result.record
    assert {run.state for run in record.runs} == {"finished"}
    assert all(run.epochs[-1].validation_accuracy > 0.6 for run in record.runs)
    assert record.runs[0].environment["path"] == "plain"
    (effect,) = result.compare("width").effects
    assert effect.seeds == tuple(range(6))
    assert all(run.test_accuracy is None for run in record.runs)  # the test split is sealed
    result.reveal()
    assert all((run.test_accuracy or 0) > 0.6 for run in result.record.runs)


def test_a_study_file_names_it_relative_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "code")
    (tmp_path / "code" / "study.toml").write_text(
        """
        question = "Does width help?"
        [data]
        name = "digits"
        [network]
        layers = ['module "my_nets.py:ConvNet(width={width})"']
        [factors]
        width = [3, 5]
        """
    )
    monkeypatch.chdir(tmp_path)
    summaries = assay.describe(read_study(tmp_path / "code" / "study.toml"))
    # A convolution of 3 x 3 and its biases, two numbers and two moving statistics of the norm, 10 units of 9 positions.
    counts = {name: summary.parameters for name, summary in summaries.items()}
    assert counts == {f"width={w}": 10 * w + 4 * w + 90 * w + 10 for w in (3, 5)}
    summary = summaries["width=3"]
    assert [row.name for row in summary.layers] == ["conv", "norm", "relu", "dropout", "head"]
    assert summary.layers[0].flops == 2 * 9 * 6 * 6 * 3
    assert summary.layers[-1].flops == 2 * 27 * 10
    assert summary.own is not None
    assert summary.own.output == "logits"


def test_its_identity_is_the_code_and_its_arguments(tmp_path: Path) -> None:
    helper = "from blocks.parts import WIDTH\n" + CONVNET.replace("width=4", "width=WIDTH")

    def identity(folder: str, text: str, part: str, name: str = "my_nets.py", call: str = "ConvNet(rate=0.1)") -> str:
        path = write(tmp_path / folder, text, name)
        write(tmp_path / folder / "blocks", part, "parts.py")
        (task,) = tasks_of(one(path, call), tmp_path / "store")
        return task.id

    first = identity("a", helper, "WIDTH = 4\n")
    assert identity("b", helper, "WIDTH = 4\n", "renamed.py", "ConvNet( rate = 0.1 )") == first
    assert identity("c", helper, "WIDTH = 5\n") != first  # a file that it imports
    assert identity("d", helper + "# a comment\n", "WIDTH = 4\n") != first
    assert identity("a", helper, "WIDTH = 4\n", call="ConvNet(rate=0.2)") != first
    write(tmp_path / "a", "import nothing", "stranger.py")  # one that nobody imports
    assert identity("a", helper, "WIDTH = 4\n") == first


def test_a_run_resumed_or_beside_others_is_the_same_bits(tmp_path: Path) -> None:
    study = own_study(
        write(tmp_path / "code"),
        training={"epochs": 3, "batch_size": 64, "optimizer": {"name": "sgd", "momentum": 0.9}},
    )
    assay.describe(study)
    first, second = tasks_of(study, tmp_path / "store")
    data = open_training(first.images, first.labels, first.groups)
    alone = train(first, data)
    train(second, data)
    torch.rand(5)  # global generators are no part of it
    paused = tmp_path / "checkpoint"
    train(replace(first, pause_after=1), data, checkpoint=paused)
    assert load_checkpoint(paused, checkpoint_name(first)) is not None
    resumed = train(first, data, checkpoint=paused)
    assert same_weights(alone.weights, resumed.weights)
    assert [e.validation_loss for e in alone.history] == [e.validation_loss for e in resumed.history]
    result = assay.run(study)
    (run,) = [run for run in result.record.runs if run.id == first.id]
    (model,) = load_models(result.record, [run], result.store)
    assert same_weights(alone.weights, model.network.state())
    assert run.epochs[-1].validation_loss == alone.history[-1].validation_loss


def test_global_generators_are_left_alone(tmp_path: Path) -> None:
    (task,) = tasks_of(one(write(tmp_path / "code"), training={"epochs": 1}), tmp_path / "store")
    assay.describe(one(write(tmp_path / "code"), training={"epochs": 1}))
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(3)
    np.random.seed(3)
    train(task, open_training(task.images, task.labels, task.groups))
    assert torch.equal(torch.rand(3), expected[0])
    assert (np.random.rand(3) == expected[1]).all()


def test_seeds_move_what_their_streams_say(tmp_path: Path) -> None:
    study = one(write(tmp_path / "code"), seeds={"count": 2, "vary": ["order"]}, training={"epochs": 1})
    assay.describe(study)
    from assay.train.networks import network_of

    def first_weights(seed_study: Study) -> list[dict[str, torch.Tensor]]:
        return [
            network_of(task.arm, (8, 8, 1), 10, task.streams).state()
            for task in tasks_of(seed_study, tmp_path / "store")
        ]

    one_init, other = first_weights(study)
    assert same_weights(one_init, other)
    one_init, other = first_weights(
        study.model_copy(update={"seeds": study.seeds.model_copy(update={"vary": ("init",)})})
    )
    assert not same_weights(one_init, other)


def test_it_trains_like_the_same_network_in_layer_words(tmp_path: Path) -> None:
    """In float32, from the same weights and with the same order: the losses agree but for rounding."""
    text = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4 * 36, 10)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).permute(0, 2, 3, 1).flatten(1))
"""
    training = {"epochs": 3, "batch_size": 64, "precision": "float32", "optimizer": {"name": "sgd", "momentum": 0.9}}
    own = one(write(tmp_path / "code", text), "Net()", training=training)
    words = one(
        tmp_path, network={"layers": ["conv 4 3x3 relu", "flatten", "dense classes softmax"]}, training=training
    )
    assay.describe(own)
    from assay.nets.build import Network
    from assay.train.engine import batch_of, split_of
    from assay.train.networks import network_of
    from assay.train.plain import PlainLearner
    from assay.train.scaling import scaling_of

    (task,), (named,) = tasks_of(own, tmp_path / "store"), tasks_of(words, tmp_path / "store")
    data = open_training(task.images, task.labels, task.groups)
    chosen = split_of(task, data).training
    scaling = scaling_of(data.images, "unit", chosen)
    ours: Network = network_of(named.arm, (8, 8, 1), 10, named.streams)
    theirs = network_of(task.arm, (8, 8, 1), 10, task.streams)
    state = ours.state()
    theirs.load({
        "conv.weight": state["conv1.kernel"], "conv.bias": state["conv1.bias"],
        "head.weight": state["dense1.kernel"], "head.bias": state["dense1.bias"],
    })  # fmt: skip
    learners = [PlainLearner(net, task.arm.training.optimizer, scaling) for net in (ours, theirs)]
    for step in range(20):
        batch = batch_of(task, data, chosen[step * 50 : (step + 1) * 50], step)
        a, b = (learner.train_batch(batch, step=step, learning_rate=0.05) for learner in learners)
        assert a[0] == pytest.approx(b[0], rel=1e-4)


def test_probabilities_are_recognised(tmp_path: Path) -> None:
    text = CONVNET.replace("return self.head(self.dropout(x.flatten(1)))", "return self.head(x.flatten(1)).softmax(1)")
    study = one(write(tmp_path / "code", text), training={"epochs": 4, "batch_size": 32})
    (summary,) = assay.describe(study).values()
    assert summary.own is not None
    assert summary.own.output == "probabilities"
    result = assay.run(study)
    (run,) = result.record.runs
    assert run.epochs[-1].validation_accuracy > 0.5
    (model,) = load_models(result.record, [run], result.store)
    images, labels = model.validation()
    probabilities = model.probabilities(images)
    with torch.no_grad():
        plain = model.network.module(model.predictor.scaling.apply(images, np.arange(len(images)))).numpy()
    np.testing.assert_allclose(probabilities, plain, atol=1e-5)
    assert (probabilities.argmax(1) == labels).mean() == pytest.approx(run.epochs[-1].validation_accuracy, abs=0.01)


def test_code_that_views_memory_is_given_torchs_usual_order(tmp_path: Path) -> None:
    text = CONVNET.replace("x.flatten(1)", "x.view(x.size(0), -1)")
    study = one(write(tmp_path / "code", text), training={"epochs": 1})
    (summary,) = assay.describe(study).values()
    assert summary.own is not None
    assert not summary.own.is_channels_last
    assert {run.state for run in assay.run(study).record.runs} == {"finished"}


def test_a_module_may_work_in_place_on_its_images(tmp_path: Path) -> None:
    text = CONVNET.replace("        x = F.max_pool2d(", "        x.mul_(2)\n        x = F.max_pool2d(")
    result = assay.run(one(write(tmp_path, text), training={"epochs": 1}))
    (model,) = load_models(result.record, result.record.runs, result.store)
    images, _ = model.validation()
    scaled = model.predictor.scaling.apply(images, np.arange(4))
    before = scaled.clone()
    with torch.no_grad():
        first, second = model.network(scaled), model.network(scaled)
    assert torch.equal(scaled, before)
    assert torch.equal(first, second)


def test_two_files_that_import_helpers_of_one_name(tmp_path: Path) -> None:
    text = "from helper import WIDTH\n" + CONVNET.replace("width=4", "width=WIDTH")
    counts = []
    for width in (3, 7):
        folder = tmp_path / str(width)
        write(folder, f"WIDTH = {width}\n", "helper.py")
        (summary,) = assay.describe(one(write(folder, text))).values()
        counts.append(summary.layers[0].output_shape[-1])
    assert counts == [3, 7]


@pytest.mark.parametrize(
    ("change", "call", "expected"),
    [
        (("", ""), "ConvNett()", 'has no "ConvNett"; did you mean "ConvNet"?'),
        (("", ""), "ConvNet(wide=3)", "cannot be made: TypeError: ConvNet.__init__() got an unexpected keyword"),
        (("", ""), "ConvNet(width=torch)", "argument width=torch is no plain value"),
        (("", ""), "ConvNet(**{})", "cannot be unpacked"),
        (("width * 9, 10", "width * 9, 7"), "ConvNet()", "puts out [batch, 7] for images of 8 x 8 x 1 and 10 classes"),
        (("self.head(self.dropout(x.flatten(1)))", "x, x"), "ConvNet()", "puts out a tuple, not a tensor"),
        (("x.flatten(1)", "x.squeeze().flatten(1).sum()"), "ConvNet()", "cannot compute images of 8 x 8 x 1"),
        (("import torch\n", "import torch\nimport nonsense_package\n"), "ConvNet()", "cannot be imported: Module"),
        (("class ConvNet", "class ConvNet!"), "ConvNet()", "is no Python"),
        (("import torch\n", "from .parts import x\n"), "ConvNet()", "imports from its own package"),
        (("nn.Module", "object"), "ConvNet()", "makes a ConvNet, not a torch.nn.Module"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(tmp_path: Path, change: tuple[str, str], call: str, expected: str) -> None:
    text = CONVNET.replace(*change) if change[0] else CONVNET
    assert expected in problem(text, tmp_path, call)


STATES = {
    "a counter": (
        "self.seen = getattr(self, 'seen', 0) + self.training\n        x = x * (1 + 0.01 * self.seen)",
        "ConvNet() keeps state outside its parameters and buffers",
        "ConvNet.seen",
    ),
    "a counter of every image": (
        "self.seen = getattr(self, 'seen', 0) + 1\n        x = x * (1 + 0.01 * self.seen)",
        "ConvNet() gives the same images other scores each time in evaluation mode",
        "ConvNet.seen",
    ),
    "a buffer that is not kept": (
        "self.register_buffer('seen', getattr(self, 'seen', torch.zeros(())) + self.training, persistent=False)\n"
        "        x = x * (1 + 0.01 * self.seen)",
        "ConvNet() keeps state outside its parameters and buffers",
        "ConvNet.seen",
    ),
    "numpy": ("import numpy as np\n        x = x * float(np.random.rand())", "NumPy's global generator", ""),
    "random": ("import random\n        x = x * random.random()", "Python's random", ""),
    "dropout in evaluation": ("x = F.dropout(x, 0.5)", "torch's global generator in evaluation mode", ""),
    "a global of the file": (
        "STATE['n'] = STATE.get('n', 0) + 1\n        x = x * (1 + 0.1 * STATE['n'])",
        "",
        "",
    ),
}


@pytest.mark.parametrize("kind", list(STATES))
def test_state_and_draws_outside_are_named(tmp_path: Path, kind: str) -> None:
    line, what, attribute = STATES[kind]
    text = CONVNET.replace("    def forward(self, x):\n", f"    def forward(self, x):\n        {line}\n")
    found = problem("STATE = {}\n" + text, tmp_path)
    assert what in found
    assert attribute in found


def test_a_buffer_is_state_that_is_kept(tmp_path: Path) -> None:
    text = CONVNET.replace(
        "    def forward(self, x):\n",
        "    def forward(self, x):\n        if self.training:\n            self.seen += 1\n"
        "        x = x * (1 + 0.01 * self.seen)\n",
    ).replace("super().__init__()\n", "super().__init__()\n        self.register_buffer('seen', torch.zeros(()))\n", 1)
    assay.describe(one(write(tmp_path, text)))


def test_no_parameters_and_no_file(tmp_path: Path) -> None:
    text = "from torch import nn\nclass ConvNet(nn.Module):\n    def forward(self, x):\n        return x[:, 0, :, 0]\n"
    assert "has no parameters to train" in problem(text, tmp_path)
    with pytest.raises(SpecError, match="there is no file"):
        assay.describe(one(tmp_path / "gone.py"))
    with pytest.raises(SpecError, match="module and layers are both given"):
        Arm(name="a", module="x.py:Net()", layers=["flatten"])  # type: ignore[call-arg]
    with pytest.raises(SpecError, match="other layers stand beside it"):
        assay.describe(one(tmp_path, network={"layers": ['module "x.py:Net()"', "flatten"]}))


def test_a_store_brings_no_code_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's store on a machine whose user never named the code: nothing is imported, and one sentence says so."""
    canary = tmp_path / "imported"
    text = f"from pathlib import Path\nPath({str(canary)!r}).write_text('x')\n" + CONVNET
    path = write(tmp_path / "code", text)
    result = assay.run(one(path, training={"epochs": 1}))
    assert canary.exists()
    canary.unlink()
    store = tmp_path / "sent" / "assay-store"
    shutil.copytree(result.store, store)
    shutil.copy(path, store / "my_nets.py")  # code that came with the store
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other-machine"))
    from assay.nets.own import importing, summary

    importing._modules.clear()
    summary._summarized.cache_clear()
    sent = assay.result("own", store=store)
    assert sent.record.runs[0].state == "finished"
    sent.report(tmp_path / "report.html")
    assert "SHA-256" in (tmp_path / "report.html").read_text()
    for ask in (
        lambda: sent.export("torch", folder=tmp_path / "out"),
        lambda: load_models(sent.record, sent.record.runs, store),
        lambda: sent.reveal(),
    ):
        with pytest.raises(NoCode, match="on this machine no study file has named it"):
            ask()
    assert not canary.exists()


def test_code_that_changed_since_is_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "code")
    result = assay.run(one(path, training={"epochs": 1}))
    path.write_text(CONVNET + "# other\n")
    with pytest.raises(NoCode, match="has changed since it was run"):
        load_models(result.record, result.record.runs, result.store)
    path.unlink()
    with pytest.raises(NoCode, match="there is no file"):
        load_models(result.record, result.record.runs, result.store)


def test_workers_import_it_from_its_folder(tmp_path: Path, worker_processes: None) -> None:
    study = one(write(tmp_path / "code"), training={"epochs": 1})
    result = assay.run(study, workers=1)
    assert [run.state for run in result.record.runs] == ["finished"]
    (task,) = make_plan(study, prepare(study.data), tmp_path / "store").tasks
    mine = train(task, open_training(task.images, task.labels, task.groups))
    (model,) = load_models(result.record, result.record.runs, result.store)
    assert same_weights(mine.weights, model.network.state())


def test_it_trains_on_this_machines_processor(tmp_path: Path) -> None:
    study = one(write(tmp_path / "code"))
    with pytest.raises(SpecError, match=r"layers\[0\].*\(layers\) trains on this machine alone"):
        assay.run(study, on="ray")
    with pytest.raises(SpecError, match="trains on the processor"):
        assay.run(study, device="cuda")


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_exports_answer_as_the_run_does(tmp_path: Path, output: str) -> None:
    text = "from helper import WIDTH\n" + CONVNET.replace("width=4", "width=WIDTH")
    if output == "probabilities":
        text = text.replace("self.head(self.dropout(x.flatten(1)))", "self.head(x.flatten(1)).softmax(1)")
    write(tmp_path / "code", "WIDTH = 5\n", "helper.py")
    study = one(write(tmp_path / "code", text), training={"epochs": 2}, data={"name": "digits", "scaling": "standard"})
    result = assay.run(study)
    out = tmp_path / "out"
    result.export("onnx", "torch", "safetensors", "onnx-int8", folder=out)
    (model,) = load_models(result.record, result.record.runs, result.store)
    images, _ = model.validation()
    expected = model.probabilities(images)
    import onnxruntime

    session = onnxruntime.InferenceSession(out / "model.onnx")
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, atol=1e-5)
    np.testing.assert_allclose(session.run(None, {"images": images[:1]})[0], expected[:1], atol=1e-5)
    program = (
        "import sys, numpy, torch; sys.path.insert(0, sys.argv[1])\n"
        "from network import load, CLASSES\n"
        "images = torch.from_numpy(numpy.load(sys.argv[2]))\n"
        "with torch.no_grad(): numpy.save(sys.argv[3], load()(images).numpy())\n"
    )
    np.save(tmp_path / "images.npy", images)
    subprocess.run(
        [sys.executable, "-I", "-c", program, str(out), str(tmp_path / "images.npy"), str(tmp_path / "answer.npy")],
        check=True,
    )
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), expected, atol=1e-5)
    assert (out / "code" / "my_nets.py").read_text() == text
    card = (out / "model-card.md").read_text()
    assert "`code/helper.py`" in card
    assert "my_nets.py, SHA-256" in card
    for format, what in (("keras", "Keras has no layers for it"), ("c", "no C code is written for it")):
        with pytest.raises(SpecError, match=what):
            result.export(format, folder=out)


def test_explanations(tmp_path: Path) -> None:
    result = assay.run(one(write(tmp_path / "code"), training={"epochs": 2}))
    (model,) = load_models(result.record, result.record.runs, result.store)
    from assay.explain.activations import activation_maps, penultimate_features
    from assay.explain.choose import map_layer
    from assay.explain.gradcam import grad_cam
    from assay.explain.kernels import kernels_of
    from assay.explain.maximize import maximize_filters
    from assay.explain.sanity import sanity_check

    images, _ = model.validation()
    scaled = model.predictor.scaling.apply(images, np.arange(6))
    assert map_layer(model.summary) == "conv"
    maps = grad_cam(model.network, scaled)
    assert maps.shape == (6, 8, 8)
    assert maps.max() > 0
    conv, norm = model.network.module.conv, model.network.module.norm
    np.testing.assert_array_equal(kernels_of(model.network), conv.weight.detach().numpy())
    with torch.no_grad():
        before = conv(scaled[:1])[0]
        features = torch.max_pool2d(torch.relu(norm(conv(scaled))), 2).flatten(1)
    # The relu works in place: what is shown of the norm is what the norm put out.
    shown = activation_maps(model.network, scaled[0])
    np.testing.assert_allclose(shown["conv"], before.numpy(), atol=1e-6)
    assert (shown["norm"] < 0).any()
    np.testing.assert_allclose(penultimate_features(model.network, [scaled]), features.numpy(), atol=1e-6)
    assert maximize_filters(model.network, torch.zeros(1), torch.ones(1), steps=2).shape == (4, 8, 8, 1)
    sanity = sanity_check(model.network, scaled, lambda n, x, c: grad_cam(n, x, c))
    assert sanity.layers == ("head", "norm", "conv")
    shown_html = result.explain()
    assert shown_html is not None


def test_a_module_without_convolutions_has_no_maps(tmp_path: Path) -> None:
    text = """
from torch import nn
class ConvNet(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10))
"""
    result = assay.run(one(write(tmp_path, text), training={"epochs": 1}))
    (model,) = load_models(result.record, result.record.runs, result.store)
    from assay.explain.choose import map_layer

    with pytest.raises(SpecError, match="no layer of the network is a convolution"):
        map_layer(model.summary)


def test_python_names_the_class_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, CONVNET, "nets_of_this_test.py")
    monkeypatch.syspath_prepend(tmp_path)
    from nets_of_this_test import ConvNet  # type: ignore[import-not-found]

    arms = [
        Arm(name="a", module=ConvNet),  # type: ignore[call-arg]
        Arm(name="a", module=functools.partial(ConvNet, 5, rate=0.1)),  # type: ignore[call-arg]
    ]
    path = tmp_path / "nets_of_this_test.py"
    assert [arm.layers for arm in arms] == [
        (f'module "{path}:ConvNet()"',),
        (f'module "{path}:ConvNet(5, rate=0.1)"',),
    ]

    class Local(torch.nn.Module):
        pass

    for named, what in (
        (ConvNet(), "an object of ConvNet, which no run could make anew"),
        (Local, "in no file of its own"),
    ):
        with pytest.raises(SpecError, match=what):
            Arm(name="a", module=named)  # type: ignore[call-arg]


def test_retraining_takes_the_code_of_the_runs(tmp_path: Path) -> None:
    path = write(tmp_path / "code")
    result = assay.run(one(path, training={"epochs": 1}))
    path.write_text(CONVNET + "# other\n")
    assay.describe(one(path, training={"epochs": 1}))
    with pytest.raises(NoCode, match="has changed since it was run"):
        result.reveal(retrain="own")
    path.write_text(CONVNET)
    result.reveal(retrain="own")
    assert len(result.record.retrained) == 1


def test_a_search_varies_its_arguments(tmp_path: Path) -> None:
    path = write(tmp_path / "code")
    study = own_study(
        path,
        factors=None,
        training={"epochs": 1},
        search={"trials": 2, "space": {"width": {"low": 2, "high": 6}}},
    )
    result = assay.run(study)
    assert {run.state for run in result.record.runs} == {"finished"}
    best = read_study(result.best_file)
    assert str(best.expand()[0].layers[0]).startswith(f'module "{path}:ConvNet(width=')


def test_a_path_in_a_store_is_never_imported(tmp_path: Path) -> None:
    """A record that names a file of this machine with its true hash, which its user never named for a study."""
    canary = tmp_path / "imported"
    text = f"from pathlib import Path\nPath({str(canary)!r}).write_text('x')\n" + CONVNET
    path = write(tmp_path / "elsewhere", text)
    source = read_source(path).sha256
    for file in (str(path), "my_nets.py", f"../elsewhere/{path.name}"):
        arm = Arm(name="a", layers=(f'module "{file}:ConvNet()" source={source}',))
        with pytest.raises(NoCode, match="on this machine no study file has named it"):
            summary_of(arm, (8, 8, 1), 10)
    with pytest.raises(NoCode, match="does not say which it was"):
        summary_of(Arm(name="a", module=f"{path}:ConvNet()"), (8, 8, 1), 10)  # type: ignore[call-arg]
    assay.describe(one(path, "ConvNet(width=3)"))  # the user names the code, for other arguments
    canary.unlink()
    with pytest.raises(NoCode, match="on this machine no study file has named it"):
        summary_of(Arm(name="a", layers=(f'module "my_nets.py:ConvNet()" source={source}',)), (8, 8, 1), 10)
    assert not canary.exists()


@pytest.mark.skipif(not has_bfloat16(), reason="this processor does not multiply bfloat16")
def test_bfloat16_resumes_bit_for_bit(tmp_path: Path) -> None:
    study = one(write(tmp_path / "code"), training={"epochs": 2, "batch_size": 64, "precision": "bfloat16"})
    assay.describe(study)
    (task,) = tasks_of(study, tmp_path / "store")
    data = open_training(task.images, task.labels, task.groups)
    whole = train(task, data)
    train(replace(task, pause_after=1), data, checkpoint=tmp_path / "checkpoint")
    assert same_weights(whole.weights, train(task, data, checkpoint=tmp_path / "checkpoint").weights)
    assert {value.dtype for value in whole.weights.values()} == {torch.float32, torch.int64}
    (plain,) = tasks_of(one(tmp_path / "code" / "my_nets.py", training={"epochs": 2, "precision": "float32"}), tmp_path)
    assert not same_weights(whole.weights, train(plain, data).weights)
    (run,) = assay.run(study).record.runs
    assert run.environment["precision"] == "bfloat16"


def test_a_study_resumed_from_its_record_names_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page's button runs comes from the store: it may import what the user named before, and nothing else."""
    canary = tmp_path / "imported"
    text = f"from pathlib import Path\nPath({str(canary)!r}).write_text('x')\n# record\n" + CONVNET
    path = write(tmp_path / "code", text)
    monkeypatch.setenv("ASSAY_OWN_CODE", "known")
    with pytest.raises(NoCode, match="on this machine no study file has named it"):
        assay.run(one(path, training={"epochs": 1}))
    assert not canary.exists()
    monkeypatch.delenv("ASSAY_OWN_CODE")
    assay.describe(one(path, training={"epochs": 1}))
    monkeypatch.setenv("ASSAY_OWN_CODE", "known")
    assert {run.state for run in assay.run(one(path, training={"epochs": 1})).record.runs} == {"finished"}


def test_code_inside_a_store_is_refused(tmp_path: Path) -> None:
    result = assay.run(one(write(tmp_path / "code"), training={"epochs": 1}))
    inside = write(result.store / "studies", CONVNET + "# inside\n")
    with pytest.raises(SpecError, match="code in a store is never imported"):
        assay.describe(one(inside))
