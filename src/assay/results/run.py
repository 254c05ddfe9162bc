"""Single runs of a store: predictions, explanations, exports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from ..store import RunRecord, StudyRecord, default_folder

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from ..prediction.conformal import SetMethod
    from .explanations import Explanation, PictureOptions
    from .exports import Exported
    from .model import Model


def find(name: str, *, store: str | Path | None = None) -> Run:
    """A run by the first characters of its id, or by its study's name: then the first seed of the study's best arm.

    Raises:
        NoStore: There is no store.
        NoSuchRun: There is no such run or study.
        StoreError: More than one run's id begins so.
        SpecError: The study has no finished run.
    """
    from .model import find_run

    folder = Path(store) if store is not None else default_folder()
    return Run(folder, *find_run(name, folder))


@dataclass(frozen=True)
class Run:
    """A run in a store."""

    store: Path
    study: StudyRecord
    record: RunRecord

    def model(self) -> Model:
        """Its network with its weights.

        Raises:
            SpecError: It has not finished.
            DataError: Its weights are missing or damaged, or data that are needed are gone.
        """
        from .model import load_models

        return load_models(self.study, [self.record], self.store)[0]

    def epochs(self) -> pd.DataFrame:
        """One row for each epoch."""
        from ..report import epochs_frame

        return epochs_frame(replace(self.study, runs=(self.record,)))

    def explain(self, **options: Unpack[PictureOptions]) -> Explanation:
        """Draws the requested pictures of what the run learned and where it fails.

        Args:
            options: The fields of a :class:`~assay.results.explanations.PictureRequest`: ``only`` (names of pictures),
                ``layer``, ``image``, ``split`` (``"validation"`` or ``"test"``) and ``projection`` (``"pca"`` or
                ``"tsne"``).

        Raises:
            SpecError: A name is no picture or layer, an image is not there, the test split is sealed, or a picture
                that was requested by name cannot be drawn.
            DataError: Weights or data are gone or have changed, or the image does not fit.
        """
        from .explanations import PictureRequest, explain

        return explain(self.model(), PictureRequest(**options))

    def _repr_html_(self) -> str:
        return self.record._repr_html_()


def export(
    run: str,
    *formats: str,
    folder: str | Path | None = None,
    sets: float | None = None,
    set_method: SetMethod = "adaptive",
    by_class: bool = False,
    never_empty: bool = False,
    refuse: bool | float = False,
    store: str | Path | None = None,
) -> Exported:
    """Write a finished run's network as files that others can run, and a model card.

    Args:
        run: The start of a run's id, or a study: then the first seed of its best arm.
        formats: ``keras``, ``onnx``, ``onnx-int8``, ``onnx-int4``, ``litert``, ``litert-int8``, ``torch``,
            ``safetensors``, ``c``, ``c-int4``, ``c-int2``, ``c-ternary``.
        folder: Where to write; ``STUDY-RUN`` in the current folder if ``None``.
        sets, set_method, by_class, never_empty, refuse: As for :func:`predict`: their rules are written as
            ``answers.json``, and ``model.onnx`` gets the output ``unlike``.
        store: The store's folder; ``ASSAY_STORE`` or ``./assay-store`` if ``None``.

    Raises:
        SpecError: A format is not known, its library is not installed, or it cannot hold this network.
        NoSuchRun: There is no such run.
        DataError: The run's weights are missing or damaged, or the folder cannot be written.
        RunError: A file's predictions are not ours. It is not kept.
        DiskFull: There is no space left.
    """
    from .answers import answer_request
    from .exports import export_run

    target = Path(folder) if folder is not None else None
    request = answer_request(sets, set_method, by_class, never_empty, refuse)
    return export_run(run, formats, Path(store) if store is not None else default_folder(), target, request=request)


def predict(
    run: str,
    *images: str | Path | ArrayLike,
    arm: str | None = None,
    calibrate: bool = False,
    resize: bool = False,
    sets: float | None = None,
    set_method: SetMethod = "adaptive",
    by_class: bool = False,
    never_empty: bool = False,
    refuse: bool | float = False,
    store: str | Path | None = None,
) -> pd.DataFrame:
    """Classes of new images, with a probability for each class.

    Args:
        run: The start of a run's id, or a study: then the first seed of its best arm.
        images: Files and folders, as ``assay predict`` takes them, or one array [n, height, width] or
            [n, height, width, channels]: 0 to 255, or 0 to 1.
        arm: Ask all finished seeds of this arm of the study, by their mean probability; ``"best"`` is its best arm.
        calibrate: Fit a temperature on validation images.
        resize: Resize images of another size instead of refusing them.
        sets: How often a set of classes is to hold the truth, such as 0.9; fitted on validation images.
        set_method: ``adaptive``, ``regularized`` or ``threshold`` (``prediction.conformal.set_scores``).
        by_class: Keep the promise for each class.
        never_empty: Put the most probable class into sets that would be empty.
        refuse: Say which pictures are unlike the data: farther from the training images than all but this share of
            validation images (0.05 for ``True``).
        store: The store's folder; ``ASSAY_STORE`` or ``./assay-store`` if ``None``.

    Returns:
        A row for each image: Id (a file's name, or a number from 0), Category, Confidence, with ``sets`` Set (a tuple
        of class names), with ``refuse`` Unlike (refused above 1) and Refused, and a column for each class. What sets
        and refusal were fitted on stands in ``attrs["note"]``.

    Raises:
        NoSuchRun: There is no such run or study.
        SpecError: There is no such arm, nothing to calibrate on, or a share outside (0, 1).
        DataError: Images cannot be read, or have another size.
    """
    from .answers import answer_request
    from .predictions import frame_of, load_ensemble

    folder = Path(store) if store is not None else default_folder()
    request = answer_request(sets, set_method, by_class, never_empty, refuse)
    runs = load_ensemble(run, folder, arm=arm, calibrated=calibrate, request=request)
    frame = frame_of(runs, images, resize=resize)
    if runs.answers is not None:
        frame.attrs["note"] = runs.answers.note
    return frame
