"""A network with scikit-learn's interface, for pipelines, cross-validation and grid searches."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, column_or_1d, validate_data

from .data import DatasetInfo, TrainingData
from .errors import Problem, SpecError
from .nets import summary_of
from .runner.own_code import named, try_own
from .runner.plan import with_labels
from .spec import Arm, Augmentation, Best, Data, EarlyStopping, Training, run_fingerprint
from .spec.metric import is_of_validation

LAYERS = ("conv 16 3x3 relu", "maxpool 2", "flatten", "dense 64 relu", "dense classes softmax")
_NAME = "classifier"
_DARKEST_WHITE = 128  # whole numbers from 0 to at least this are stored bytes: 784 columns of MNIST, say


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Train one network with scikit-learn's interface: ``fit``, ``predict``, ``predict_proba``, ``score``.

    Use it in pipelines, ``cross_val_score`` and ``GridSearchCV``. It trains in this process and keeps no store. To
    learn whether one setting is better than another, with seeds and intervals, use a :class:`Study`.

    Args:
        layers: Layer words and blocks, as in an :class:`Arm`. If ``None``: one convolution and two dense layers.
        training: A :class:`Training`, or its settings such as ``{"epochs": 5, "optimizer": "sgd"}``. Defaults if
            ``None``.
        module: A network of your own instead of ``layers``: ``"my_nets.py:ResNet9(width=16)"``, or the class.
        shape: (height, width) or (height, width, channels) of an image, if X holds rows of pixels [n, pixels]. If
            ``None``, such a row is an image of height 1.
        scaling: ``"unit"``: bytes are divided by 255; other numbers are scaled so that the range seen by ``fit``
            becomes 0 to 1. ``"standard"``: then the training mean is subtracted, and the result divided by the standard
            deviation. ``"none"``: numbers are used as they are.
        validation: Images that ``fit`` sets aside for early stopping or for choosing the best epoch: a share in (0, 1)
            or a count. None if ``None``.
        random_state: The seed. The same integer gives the same weights. A ``RandomState`` is accepted; ``None`` draws
            another seed in every ``fit``.
        n_jobs: Threads: 1 if ``None``, all cores if -1.

    Attributes:
        classes_: The labels that ``fit`` saw, sorted [classes].
        n_features_in_: Pixels of an image, times channels.
        feature_names_in_: Column names, if X is a table that has some.
        image_shape_: Height, width and channels of an image.
        n_iter_: Epochs that were trained.
        history_: A record of each epoch: losses and accuracies after it, learning rate, seconds.
        arm_: Network and training as an :class:`Arm`, for use in a study.
        weights_: The weights of the kept epoch, by name.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> images, labels = load_digits(return_X_y=True)
        >>> classifier = assay.Classifier(
        ...     ["conv 8 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"],
        ...     {"epochs": 5, "batch_size": 32},
        ...     shape=(8, 8),
        ... )
        >>> classifier.fit(images[:1000], labels[:1000]).score(images[1000:], labels[1000:]) > 0.5
        True
        >>> classifier.n_iter_
        5
    """

    def __init__(
        self,
        layers: Sequence[Any] | None = None,
        training: Training | Mapping[str, Any] | None = None,
        *,
        module: str | Callable[..., Any] | None = None,
        shape: tuple[int, ...] | None = None,
        scaling: Literal["unit", "standard", "none"] = "unit",
        validation: float | int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.layers = layers
        self.training = training
        self.module = module
        self.shape = shape
        self.scaling = scaling
        self.validation = validation
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Train a new network. An earlier ``fit`` is forgotten.

        Args:
            X: Images [n, height, width] or [n, height, width, channels], or rows of pixels [n, pixels].
            y: One label for each image [n], numbers or texts, of two classes or more.

        Returns:
            The classifier itself.

        Raises:
            ValueError: Images or labels cannot be used: not finite, of different lengths, or of one class.
            SpecError: Layers, training or another parameter break a rule; one problem for each.
            Diverged: The loss became infinite or NaN.
        """
        if _is_rows(X):
            values, labels = validate_data(self, X, y, dtype="numeric")
        else:
            values, labels = check_X_y(X, y, allow_nd=True, dtype="numeric")
        labels = column_or_1d(labels, warn=True)
        check_classification_targets(labels)
        self.classes_, indices = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier needs images of two classes or more; got one class, {self.classes_[0]!r}")
        images = self._images(values, is_fit=True)
        data = TrainingData(np.ascontiguousarray(images), indices.astype(np.int64))
        with _torch_threads(self._num_threads()) as threads:
            self._train(data, threads)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """Return the most probable label of each image [n].

        Args:
            X: Images of the shape that ``fit`` was given.

        Raises:
            NotFittedError: ``fit`` was not called.
            ValueError: The images have another shape than in ``fit``.
        """
        best = self.predict_proba(X).argmax(1)
        labels: NDArray[Any] = self.classes_[best]
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class [n, classes], in the order of ``classes_``. Rows sum to 1.

        Args:
            X: Images of the shape that ``fit`` was given.

        Raises:
            NotFittedError: ``fit`` was not called.
            ValueError: The images have another shape than in ``fit``.
        """
        check_is_fitted(self)
        if _is_rows(X):
            values = validate_data(self, X, reset=False, dtype="numeric")
        else:
            values = check_array(X, allow_nd=True, dtype="numeric")
        images = self._images(values, is_fit=False)
        with _torch_threads(self._num_threads()):
            if not hasattr(self, "_network"):  # it comes from a pickle
                self._network = self._predictor()
            probabilities = self._network.probabilities(images).astype(np.float64)
        scaled: NDArray[np.float64] = probabilities / probabilities.sum(1, keepdims=True)
        return scaled

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "weights_")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_network", None)  # made anew from arm and weights
        return state

    def _num_threads(self) -> int:
        if self.n_jobs is None:
            return 1
        if not isinstance(self.n_jobs, int | np.integer) or self.n_jobs == 0:
            raise SpecError(Problem(f"got {self.n_jobs!r}", "give a number of threads, or -1 for all cores", "n_jobs"))
        return int(self.n_jobs) if self.n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + int(self.n_jobs))

    def _images(self, values: NDArray[Any], *, is_fit: bool) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Numbers as images [n, height, width, channels]: bytes, or float32 on the scale that ``fit`` found."""
        height, width, channels = shape = self._shape_of(values)
        if is_fit:
            self.image_shape_ = shape
            self.n_features_in_ = height * width * channels
            self._is_bytes, self._low, self._high = _scale_of(values, self.scaling)
        elif shape != self.image_shape_:
            known, given = (" x ".join(map(str, sizes)) for sizes in (self.image_shape_, shape))
            raise ValueError(f"images are {given}, and those of fit were {known} (height x width x channels)")
        images = values.reshape(len(values), height, width, channels)
        if self._is_bytes:
            stored: NDArray[Any] = images.astype(np.uint8 if is_fit or values.dtype == np.uint8 else np.float32)
            return stored
        scaled: NDArray[np.float32] = ((images - self._low) / (self._high - self._low)).astype(np.float32)
        return scaled

    def _shape_of(self, values: NDArray[Any]) -> tuple[int, int, int]:
        if values.ndim > 4:
            raise ValueError(f"images have {values.ndim} dimensions; give [n, height, width, channels] or fewer")
        if values.ndim > 2:
            height, width, channels = (*values.shape[1:], 1)[:3]
            return height, width, channels
        if self.shape is None:
            return 1, values.shape[1], 1
        sizes = tuple(int(size) for size in self.shape)
        if len(sizes) not in (2, 3) or min(sizes) < 1 or np.prod(sizes) != values.shape[1]:
            fix = "give (height, width) or (height, width, channels) with this product"
            raise SpecError(Problem(f"got {sizes} for rows of {values.shape[1]} pixels", fix, "shape"))
        height, width, channels = (*sizes, 1)[:3]
        return height, width, channels

    def _train(self, data: TrainingData, threads: int) -> None:
        from pathlib import Path

        from .train import Task
        from .train.engine import split_of, train
        from .train.scaling import scaling_of

        arm = named(self._arm(data))
        summary = self._checked(arm, data)
        try_own(arm, summary)
        spec = Data(name=_NAME, validation="none" if self.validation is None else self.validation, scaling=self.scaling)
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        vary, nowhere = ("split", "init", "order", "augment", "dropout"), Path(os.devnull)
        task = Task(
            id=run_fingerprint(arm, spec, content=_NAME, seed=int(seed), vary=vary), arm=arm, data=spec, seed=int(seed),
            vary=vary, num_classes=len(self.classes_), images=nowhere, labels=nowhere, folder=nowhere,
        )  # fmt: skip
        if len(data) == 1:
            raise ValueError("Classifier cannot learn from 1 sample; give images of two classes or more")
        trained = train(task, data, threads=threads)
        scaling = scaling_of(data.images, self.scaling, split_of(task, data).training)
        self.weights_ = {name: value.detach().numpy().copy() for name, value in trained.weights.items()}
        self.history_, self.n_iter_, self.arm_ = trained.history, len(trained.history), arm
        self._seed, self._offset, self._factor = int(seed), scaling.offset.numpy(), scaling.factor.numpy()
        self._network = self._predictor()

    def _arm(self, data: TrainingData) -> Arm:
        given = self.training if self.training is not None else Training()
        training = given if isinstance(given, Training) else Training(**given)
        if self.module is not None:
            if self.layers is not None:
                what = "module and layers are both given"
                raise SpecError(Problem(what, "leave the layers out: a module is the whole network", "module"))
            arm = Arm(name=_NAME, module=self.module, training=training)  # type: ignore[call-arg]
        else:
            arm = Arm(name=_NAME, layers=LAYERS if self.layers is None else tuple(self.layers), training=training)
        _refuse_missing_validation(training, self.validation)
        return with_labels(arm, self._info(data))

    def _checked(self, arm: Arm, data: TrainingData) -> Any:
        augmentation = arm.training.augmentation or Augmentation()
        if not self._is_bytes and augmentation.changes_bytes:
            what = "augmentation works on bytes, and the images are other numbers"
            raise SpecError(Problem(what, "give whole numbers from 0 to 255", "training.augmentation"))
        try:
            return summary_of(arm, self.image_shape_, len(self.classes_))
        except SpecError as error:
            if self.shape is None and self.image_shape_[0] == 1 and _needs_images(arm):
                what = "it is not given, and rows of pixels are images of one row without it"
                raise SpecError([*error.problems, Problem(what, "give shape=(height, width)", "shape")]) from None
            raise

    def _info(self, data: TrainingData) -> DatasetInfo:
        height, width, channels = self.image_shape_
        return DatasetInfo(
            name=_NAME, title=_NAME, height=height, width=width, channels=channels,
            classes=tuple(str(label) for label in self.classes_.tolist()), num_training=len(data), num_test=0,
            content="", licence="", citation="", sources=(), test_split_note="", dtype=str(data.images.dtype),
        )  # fmt: skip

    def _predictor(self) -> Any:
        """The network with the weights of the epoch that counts."""
        import torch

        from .seeds import Streams
        from .train.networks import network_of
        from .train.predictor import Predictor
        from .train.scaling import Scaling

        network = network_of(self.arm_, self.image_shape_, len(self.classes_), Streams(self._seed))
        scaling = Scaling(torch.from_numpy(self._offset.copy()), torch.from_numpy(self._factor.copy()))
        predictor = Predictor(network, scaling, self.arm_.training.evaluation)
        predictor.load_weights({name: torch.from_numpy(value.copy()) for name, value in self.weights_.items()})
        return predictor


def _is_rows(values: Any) -> bool:
    """Whether these are rows of pixels, whose columns scikit-learn counts and names; else images."""
    ndim: int = values.ndim if hasattr(values, "ndim") else np.asarray(values).ndim
    return ndim <= 2


def _needs_images(arm: Arm) -> bool:
    return any(isinstance(line, str) and ("conv" in line or "pool" in line) for line in arm.layers)


def _scale_of(values: NDArray[Any], scaling: str) -> tuple[bool, float, float]:
    """Whether images are kept as bytes, and otherwise which numbers become 0 and 1."""
    if values.dtype == np.uint8:
        return True, 0.0, 255.0
    low, high = float(values.min()), float(values.max())
    if low >= 0 and _DARKEST_WHITE <= high <= 255 and np.array_equal(values, np.rint(values)):
        return True, 0.0, 255.0
    if scaling == "none":
        return False, 0.0, 1.0
    return False, low, high if high > low else low + 1.0


def _refuse_missing_validation(training: Training, validation: float | int | None) -> None:
    if validation is not None:
        return
    stopping, keep, schedule = training.early_stopping, training.keep, training.schedule
    asked = [
        ("early_stopping", stopping.metric if isinstance(stopping, EarlyStopping) else None),
        ("keep", keep.best if isinstance(keep, Best) else None),
        ("schedule", schedule.metric),
    ]
    problems = [
        Problem(f"{metric} needs images that are set aside", "give validation=0.1, say", f"training.{name}")
        for name, metric in asked
        if metric is not None and is_of_validation(metric)
    ]
    if problems:
        raise SpecError(problems)


@contextmanager
def _torch_threads(count: int) -> Iterator[int]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)
