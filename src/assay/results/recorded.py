"""What a study's record and its data say together: data that must not have changed, networks, pictures, copies."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ..errors import DataError, NoCode, Problem, SpecError
from ..spec import DATA, Placement, Training, module_of
from ..store import RunRecord, StudyRecord, part_of_arm, parts_of

if TYPE_CHECKING:
    from ..data import Dataset, SplitIndices, TrainingData
    from ..nets import Summary
    from ..report import DataLook, Gallery, NetworkTable

_GALLERY_ROWS = 50


def dataset_of(record: StudyRecord) -> Dataset:
    """The data of a study that has been run.

    Raises:
        DataError: They are gone, or no longer what the runs were trained on.
    """
    from ..data import prepare

    if record.sets:
        what = f'study "{record.name}" learns from {len(record.sets)} data sets, and one is needed here'
        raise DataError(Problem(what, f"name an arm on one of them: {', '.join(record.sets)}"))
    dataset = prepare(record.design.data)
    if dataset.info.content != record.data["content"]:
        what = f"{dataset.info.title} has changed since {record.name} was run"
        raise DataError(Problem(what, "put the files back as they were, or run the study again"))
    return dataset


def shared_images(record: StudyRecord) -> dict[str, int]:
    """By run id, how many validation images are among the training images, byte for byte; where they are at hand."""
    import numpy as np

    if record.sets:
        return {run: number for part in parts_of(record).values() for run, number in shared_images(part).items()}
    if record.is_leaky:
        return {}
    try:
        training = dataset_of(record).training()
    except DataError:
        return {}
    contents = np.array([hash(image.tobytes()) for image in training.images])
    num_shared: dict[tuple[int, int | None], int] = {}
    shared = {}
    for run in record.runs:
        key = (run.seed, run.fold)
        if key not in num_shared:
            parts = split_of_run(record, run, training)
            num_shared[key] = int(np.isin(contents[parts.validation], contents[parts.training]).sum())
        shared[run.id] = num_shared[key]
    return shared


def split_of_run(record: StudyRecord, run: RunRecord, training: TrainingData) -> SplitIndices:
    """The training and validation images of a run of the study, by index; a retrained run has none for validation."""
    from ..data import split_for

    return split_for(training, record.data_of(run), seed=run.seed, vary=record.design.seeds.vary, fold=run.fold)


def training_path(summary: Summary, training: Training, device: Placement = "cpu") -> str:
    """Which code trains a run, as a sentence: its network's fused blocks, or why it has none."""
    from ..train.device import device_of
    from ..train.fused.plan import fused_groups, why_not_fused, why_plain

    if summary.own is None and (own := why_plain(training)):
        return f"Plain path: {own}."
    if summary.own is not None:
        from ..train.paths import path_of

        precision = path_of(summary, training)[1]
        layout = "channels-last memory" if summary.own.is_channels_last else "torch's usual memory order"
        return f"Plain path ({precision}): a module of your own, in {layout}; it puts out {summary.own.output}."
    if device == "cuda" or (device == "auto" and device_of(device) == "cuda"):
        return "CUDA path: torch's layers on the CUDA device."
    from ..nets.build import learned

    summary = learned(summary)
    if reason := why_not_fused(summary):
        return f"Plain path: {reason}."
    return "Fused path: " + " | ".join(" ".join(names) for names in fused_groups(summary))


def recorded_networks(record: StudyRecord) -> dict[str, Summary]:
    """Each arm's network, from the store alone; without modules of one's own whose code is not at hand."""
    from ..nets import summary_of

    if record.sets:
        by_part = {name: recorded_networks(part) for name, part in parts_of(record).items()}
        named = {arm.name: part_of_arm(record, arm.name)[1] for arm in record.arms}
        return {
            arm.name: by_part[arm.levels[DATA]][named[arm.name]]
            for arm in record.arms
            if named[arm.name] in by_part[arm.levels[DATA]]
        }
    height, width, channels = record.data["shape"]
    classes = len(record.data["classes"])
    arms = {arm.name: arm.design for arm in record.arms}  # with what a run that is a base is made of
    if record.search is None:
        arms = {arm.name: arms.get(arm.name, arm) for arm in record.design.expand()}
    summaries: dict[str, Summary] = {}
    for arm in arms.values():
        # A module's code may need what this machine lacks, or say something else here.
        with contextlib.suppress(NoCode, *((SpecError,) if module_of(arm.layers) else ())):
            summaries[arm.name] = summary_of(arm, (height, width, channels), classes)
    return summaries


def parameters_of(record: StudyRecord) -> dict[str, int]:
    """The parameters of each arm's network, where it is known."""
    return {arm: summary.parameters for arm, summary in recorded_networks(record).items()}


def network_tables(summaries: dict[str, Summary], scaling: str = "unit") -> dict[str, NetworkTable]:
    """Each arm's network as the report and ``assay describe`` show it, by arm name.

    Args:
        summaries: The networks.
        scaling: Of the study's images: C subtracts a mean in an operation of its own.
    """
    from ..nets import shape_text
    from ..report import LayerRow, NetworkTable

    return {
        arm: NetworkTable(
            rows=tuple(
                LayerRow(
                    layer.name,
                    layer.word,
                    shape_text(layer.output_shape),
                    layer.parameters,
                    layer.flops,
                    non_trainable=layer.non_trainable,
                    activation_bytes=layer.activation_bytes,
                    receptive_field=layer.receptive_field.size,
                    receptive_stride=layer.receptive_field.stride,
                    inputs=layer.inputs,
                    path=layer.path,
                )
                for layer in summary.layers
            ),
            members=summary.members,
            parameters=summary.parameters,
            trainable=summary.trainable,
            non_trainable=summary.non_trainable,
            flops=summary.flops,
            activation_bytes=summary.activation_bytes,
            **_program_of(summary, scaling),
        )
        for arm, summary in summaries.items()
    }


def _program_of(summary: Summary, scaling: str) -> dict[str, Any]:
    """The costs of a network's fixed-point program, or why it has none."""
    from ..nets.fixed_point import costs_of, lower
    from ..report import ProgramCosts

    try:
        costs = costs_of(lower(summary, is_shifted=scaling == "standard"))
    except SpecError as error:
        return {"no_program": error.problems[0].what}
    times = tuple(costs.microseconds.items())
    return {"program": ProgramCosts(costs.bytes, costs.ram, costs.multiply_adds, times)}


def data_look_of(record: StudyRecord) -> DataLook | None:
    """What the checks of a study's data say; ``None`` where these are no longer at hand."""
    from ..data import look
    from ..report import pictured

    try:
        dataset = dataset_of(record)
        return pictured(dataset, look(dataset))
    except DataError:
        return None


def gallery_of(record: StudyRecord, *, with_look: bool = True) -> Gallery | None:
    """A look at the training images; ``None`` where they are no longer at hand.

    Args:
        record: The study.
        with_look: With what the data's checks say, which takes a while the first time.
    """
    from ..data import class_counts, gallery, png, split_for
    from ..report import Gallery

    try:
        dataset = dataset_of(record)
    except DataError:
        return None
    study, training, info = record.design, dataset.training(), dataset.info
    data = study.data.whole if study.data.is_varied else study.data  # arms that learn from fewer are shown nothing
    parts = split_for(training, data, seed=0, vary=study.seeds.vary, fold=1)
    num_judged = info.num_test if record.is_leaky else len(parts.validation)
    shown = max(4, min(12, 560 // info.width))
    rows = min(info.num_classes, _GALLERY_ROWS)
    some = "" if rows == info.num_classes else f" (the first {rows} of {info.num_classes:,})"
    return Gallery(
        png=png(gallery(training.images, training.labels, rows, shown)),
        class_names=info.classes[:rows],
        training_counts=tuple(class_counts(training.labels[parts.training], info.num_classes).tolist()[:rows]),
        validation_size=num_judged,
        look=data_look_of(record) if with_look else None,
        caption=f"The first {shown} training images of each class{some} of {info.title}. {info.test_split_note}",
    )
