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
    """Find one run by its id, or by the name of its study.

    Args:
        name: The first characters of the run's id, at least 4; or a study's name, which means the first seed of its
            best arm.
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Raises:
        NoStore: The folder holds no store.
        NoSuchRun: There is no such run or study.
        StoreError: The ids of several runs begin like this.
        SpecError: The study has no finished run.

    Example:
        >>> assay.find("first-verdict")
        Run('first-verdict', 'filters=16', 'seed 0')
    """
    from .model import find_run

    folder = Path(store) if store is not None else default_folder()
    return Run(folder, *find_run(name, folder))


@dataclass(frozen=True)
class Run:
    """One run in a store: one training of one arm with one seed.

    :func:`find` and :meth:`Result.run` return it.

    Args:
        store: The store's folder.
        study: The record of the run's study.
        record: The record of the run: its id, arm, seed, state, epochs and scores.

    Example:
        >>> run = assay.find("first-verdict")
        >>> run.record.state, len(run.record.epochs)
        ('finished', 30)
        >>> round(run.record.kept.validation_accuracy, 2)
        0.9...
    """

    store: Path
    study: StudyRecord
    record: RunRecord

    def model(self) -> Model:
        """Load the run's network with its weights.

        Returns:
            The :class:`~assay.results.model.Model`, which gives probabilities for arrays of images.

        Raises:
            SpecError: The run has not finished.
            DataError: Weights are missing or damaged, or data that they depend on are missing.

        Example:
            >>> model = assay.find("first-verdict").model()
            >>> images, labels = model.validation()
            >>> model.probabilities(images).shape == (len(images), len(model.classes))
            True
        """
        from .model import load_models

        return load_models(self.study, [self.record], self.store)[0]

    def epochs(self) -> pd.DataFrame:
        """Return one row for each epoch of the run: losses, accuracies, learning rate and seconds.

        Example:
            >>> epochs = assay.find("first-verdict").epochs()
            >>> epochs[["epoch", "train_accuracy", "validation_accuracy"]].tail(1)
                epoch  train_accuracy  validation_accuracy
            29     30 ...
        """
        from ..report import epochs_frame

        return epochs_frame(replace(self.study, runs=(self.record,)))

    def explain(self, **options: Unpack[PictureOptions]) -> Explanation:
        """Draw pictures of what the run learned and where it fails.

        Args:
            options: ``only``: names of pictures, as a list or a text with commas (``assay explain --help`` lists them).
                ``layer``: the layer of kernels and maps. ``image``: an index, a file or an array, for activations and
                evidence. ``split``: ``"validation"`` or ``"test"``. ``projection``: ``"pca"`` or ``"tsne"``. All are
                optional; :class:`~assay.results.explanations.PictureRequest` describes them.

        Returns:
            The :class:`~assay.results.explanations.Explanation`, which holds the pictures and tables.

        Raises:
            SpecError: A name is no picture or layer, the image does not exist, the test split is sealed, or a picture
                that was named cannot be drawn.
            DataError: Weights or data are missing or have changed, or the image has another shape.

        Example:
            >>> pictures = assay.find("first-verdict").explain(only=["confusion", "kernels"])
            >>> [picture.name for picture in pictures]
            ['confusion', 'kernels-conv1']
            >>> path = pictures["confusion"].save("confusion.png")
        """
        from .explanations import PictureRequest, explain

        return explain(self.model(), PictureRequest(**options))

    def __repr__(self) -> str:  # the records alone would fill the screen
        return f"Run({self.study.name!r}, {self.record.arm!r}, {self.record.label!r})"

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
        run: The beginning of a run's id, or a study's name: the first seed of its best arm.
        formats: The keys of ``FORMATS``, such as ``keras``, ``onnx`` or ``c``.
        folder: The folder to write to. ``STUDY-RUN`` in the current folder if ``None``.
        sets, set_method, by_class, never_empty, refuse: As for :func:`predict`. Their rules are written to
            ``answers.json``, and ``model.onnx`` gets the output ``unlike``.
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Raises:
        SpecError: A format is not known, its library is not installed, or it cannot hold this network.
        NoSuchRun: There is no such run.
        DataError: The run's weights are missing or damaged, or the folder cannot be written.
        RunError: A file's predictions differ from those of the run. The file is not kept.
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
    """Classify new images with one run, or with all seeds of an arm.

    Args:
        run: The beginning of a run's id, or a study's name: the first seed of its best arm.
        images: Files and folders, as ``assay predict`` accepts them; or one array [n, height, width] or
            [n, height, width, channels] with values 0 to 255 or 0 to 1.
        arm: Average the probabilities of all finished seeds of this arm. ``"best"`` is the study's best arm.
        calibrate: Fit a temperature on validation images, so that confidence means how often the class is right.
        resize: Resize images of another size. Otherwise they are refused.
        sets: Also give sets of classes that hold the true class this often, such as 0.9; in (0, 1). They are fitted on
            validation images.
        set_method: ``"adaptive"``: sets grow where the network is unsure. ``"regularized"``: they stay small with many
            classes. ``"threshold"``: the smallest sets on average.
        by_class: Keep the promise of ``sets`` for each class, not only on average.
        never_empty: Put the most probable class into sets that would be empty.
        refuse: Also mark images unlike the data: farther from the training images than all but this share of
            validation images. ``True`` means 0.05.
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Returns:
        One row for each image. ``Id``: the file's name, or the image's number from 0. ``Category``: the most probable
        class. ``Confidence``: its probability. With ``sets``, ``Set``: a tuple of class names. With ``refuse``,
        ``Unlike`` (refused above 1) and ``Refused``. Then one column for each class. ``attrs["note"]`` says what sets
        and refusal were fitted on.

    Raises:
        NoSuchRun: There is no such run or study.
        SpecError: There is no such arm, there are no validation images to calibrate on, or a share is outside (0, 1).
        DataError: Images cannot be read, or have another size.

    Source: temperature: Guo et al. (2017), "On calibration of modern neural networks". Sets: Romano, Sesia and Candes
    (2020), "Classification with valid and adaptive coverage"; Angelopoulos et al. (2021), "Uncertainty sets for image
    classifiers using conformal prediction"; Sadinle, Lei and Wasserman (2019), "Least ambiguous set-valued classifiers
    with bounded error levels". Refusal: Lee et al. (2018), "A simple unified framework for detecting
    out-of-distribution samples and adversarial attacks"; Bates et al. (2023), "Testing for outliers with conformal
    p-values".

    Example:
        >>> from sklearn.datasets import load_digits
        >>> images = load_digits().images[:3] / 16  # 8 x 8 pixels, 0 to 1
        >>> assay.predict("first-verdict", images)[["Id", "Category"]]
           Id Category
        0   0        0
        1   1        1
        2   2        2
        >>> assay.predict("first-verdict", images, arm="best", sets=0.9)["Set"].tolist()
        [...]
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
