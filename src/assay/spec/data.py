"""The spec of a study's data: the data set, its splits, its scaling."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePath
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from ..errors import Problem, SpecError
from .base import Problems, Spec
from .factors import PLACEHOLDER, placeholders

_FIX = (
    'give a share such as 0.1 or a count of images such as 5000, the last images in file order such as "last 20%" or '
    '"last 2400", folds such as "5-fold", "given" for the source\'s own validation part, or "test" with '
    "as_published = true"
)
WHOLE = "all per class"
PER_CLASS = re.compile(rf"[1-9]\d{{0,8}} per class|{WHOLE}")
PER_CLASS_FIX = 'give such as "100 per class", or "all per class"'
_VARIED = re.compile(rf"{PLACEHOLDER.pattern}( per class)?")
_LAST = re.compile(r"last (?:(\d+(?:\.\d+)?) ?%|(\d+))")


class Last(Spec):
    """The last training images, in the order of their file. ``"last 20%"`` and ``"last 2000"`` are short forms.

    Args:
        last: A share in (0, 1), or a count of 1 or more.

    Example:
        >>> data = assay.Data(name="digits", validation=assay.Last(last=0.2))
        >>> data == assay.Data(name="digits", validation="last 20%")
        True
    """

    last: float | int


class Folds(Spec):
    """k-fold cross-validation: each fold is the validation split once, so each seed makes k runs.

    ``"5-fold"`` is a short form.

    Args:
        folds: The number of folds, 2 or more.

    Example:
        >>> assay.Data(name="digits", validation=assay.Folds(folds=5)).num_folds
        5
    """

    folds: int = Field(ge=2, strict=True)


class Groups(Spec):
    """How to find the images that belong together, such as those of one person. No split divides a group.

    Give exactly one of the three. A text is a short form of ``column``, and ``"folder"`` of ``folder=True``.

    Args:
        column: A column of a table or Parquet file, or an array of an ``.npz`` file.
        before: Images whose file names are equal up to this text form a group.
        folder: Images in the same folder below their class folder form a group.

    Raises:
        SpecError: Not exactly one of them is given.

    Example:
        >>> assay.Groups(before="_").description
        'file name before "_"'
        >>> assay.Data(path="cells.csv", groups="patient").groups.column
        'patient'
    """

    column: str | None = Field(default=None, min_length=1)
    before: str | None = Field(default=None, min_length=1)
    folder: bool = False

    @property
    def description(self) -> str:
        """What a group is, for messages."""
        if self.column is not None:
            return f'"{self.column}"'
        return "folder" if self.folder else f'file name before "{self.before}"'

    @model_validator(mode="before")
    @classmethod
    def _is_a_text_or_a_table(cls, value: Any) -> Any:
        if isinstance(value, str) and value:
            return {"folder": True} if value == "folder" else {"column": value}
        return value

    @model_validator(mode="after")
    def _has_one_kind(self) -> Self:
        if sum([self.column is not None, self.before is not None, self.folder]) != 1:
            raise ValueError(f"groups are given by exactly one of column, before and folder; {_GROUPS_FIX}")
        return self


_GROUPS_FIX = (
    'give a column such as "patient", "folder" for the folder that an image lies in, or { before = "_" } for the start '
    "of its file name"
)
Validation = float | int | Last | Folds | Literal["given", "test", "none"]


Drawn = float | int | Last

_SHARE, _COUNT = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"type": "integer", "minimum": 1}


def _table(name: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: kind}, "required": [name], "additionalProperties": False}


def _as_files_write_it(schema: dict[str, Any]) -> None:
    schema.pop("anyOf", None)
    tables = [_table("last", {"anyOf": [_SHARE, _COUNT]}), _table("folds", {"type": "integer", "minimum": 2})]
    texts = [
        {"type": "string", "pattern": r"^last \d+((\.\d+)? ?%)?$"},
        {"type": "string", "pattern": r"^\d+-fold$"},
        {"enum": ["given", "test"]},
    ]
    schema["anyOf"] = [_SHARE, _COUNT, *tables, *texts]


def _test_as_files_write_it(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"type": "string", "minLength": 1}, _SHARE, _COUNT, _table("last", {"anyOf": [_SHARE, _COUNT]})]


def _groups_as_files_write_them(schema: dict[str, Any]) -> None:
    text = {"type": "string", "minLength": 1}
    folder = _table("folder", {"const": True})
    schema["anyOf"] = [text, _table("column", text), _table("before", text), folder]


def last_of(value: Any) -> Last | None:
    """``"last 20%"``, ``"last 2400"`` or ``{ last = 2400 }`` as what it says; ``None`` for anything else."""
    if isinstance(value, Last):
        return value
    if isinstance(value, str) and (match := _LAST.fullmatch(value)):
        value = {"last": float(match[1]) / 100 if match[1] else int(match[2])}
    if isinstance(value, dict) and value.keys() == {"last"} and _is_share_or_count(value["last"]):
        return Last(last=value["last"])
    return None


def _per_class_as_files_write_it(schema: dict[str, Any]) -> None:
    schema.pop("anyOf", None)
    schema.update(type="string", pattern=r"^(([1-9]\d*|all|\{\w+(\.\w+)?\}) per class|\{\w+(\.\w+)?\})$")


def _or_several(schema: dict[str, Any]) -> None:
    schema.pop("type", None)
    one: list[Any] = [{"type": "string"}, {"type": "object"}]
    schema["anyOf"] = [{"type": "string"}, {"type": "array", "items": {"anyOf": one}, "minItems": 1}]


class Reading(Spec):
    """How to read files whose layout is ambiguous. What you leave out is inferred; `assay data show` lists it.

    Images that you later predict are read in the same way.

    Args:
        label: Where the label is: ``"first"``, ``"last"``, or the name of a column.
        image: The column of file names or encoded images, or the array of images.
        header: Whether the first row of a table names its columns.
        shape: Height, width and (unless 1) channels that the values of one row form.
        labels: The file that holds the labels, if they are apart from the images; or the position of the labels in the
            names of image files, as a pattern: ``"[label]_[id]"``, ``"[id].[label]"``.
        classes: The class names in the order of their labels, or the number of classes, 2 or more.
        size: Height and width that every image is resized to, 1 to 4,096 each. Without it, images of mixed sizes are
            refused.
        fit: What to do with an image of other proportions: ``"stretch"`` changes them, ``"crop"`` cuts both sides,
            ``"pad"`` keeps the whole image and fills the rest with ``background``.
        channels: 1 converts every image to grey, 3 to red, green and blue. As the first image by default.
        background: The grey level, 0 to 255, behind transparent parts and around padded images.
        skip_bad: Leave out files that are no images. Otherwise the data set is refused.

    Example:
        >>> reading = assay.Reading(size=(64, 64), fit="pad", background=0)
        >>> assay.Data(path="photos", read=reading).read.size
        (64, 64)
    """

    # One declaration for each key: `assay data show` makes an option of it, with the description as its help.
    label: str | None = Field(
        default=None, min_length=1, description='Where the label stands: "first", "last" or the name of a column.'
    )
    image: str | None = Field(
        default=None, min_length=1, description="The column of file names or encoded images, or the array of images."
    )
    header: bool | None = Field(default=None, description="Whether a table's first row names its columns.")
    shape: tuple[int, ...] | None = Field(
        default=None, description="Height, width and (unless 1) channels that the values of one row form."
    )
    labels: str | None = Field(
        default=None,
        min_length=1,
        description='The file that holds the labels, or where they stand in file names: "[label]_[id]".',
    )
    classes: tuple[str, ...] | int | None = Field(
        default=None, description="Class names in the order of their labels, or the number of classes."
    )
    size: tuple[int, int] | None = Field(default=None, description="Height and width that every image is resized to.")
    fit: Literal["stretch", "crop", "pad"] = Field(
        default="stretch", description='What becomes of an image of other proportions: "stretch", "crop" or "pad".'
    )
    channels: Literal[1, 3] | None = Field(default=None, description="1 makes every image grey, 3 colour.")
    background: int = Field(
        default=255, ge=0, le=255, description="The grey level behind transparent parts and around padded images."
    )
    skip_bad: bool = Field(default=False, description="Leave out files that are no images.")

    # What pictures are read by that come later, so that it can be said of data without files, too.
    OF_PICTURES: ClassVar[frozenset[str]] = frozenset({"fit", "background"})

    def description(self, height: int, width: int, channels: int) -> str:
        """Return how an image file becomes an image of this shape, as sentences.

        Args:
            height: Pixels.
            width: Pixels.
            channels: 1 or 3.
        """
        colour = "made grey" if channels == 1 else "taken as red, green and blue"
        size = f"those of another size are brought to {height} x {width} pixels (bilinear)"
        return f"Pictures are {colour}; {size}: {self.fit_description}. Transparent parts are {self._background_name}."

    @property
    def _background_name(self) -> str:
        return {0: "black", 255: "white"}.get(self.background, f"grey ({self.background} of 255)")

    @property
    def fit_description(self) -> str:
        """What is done to an image of other proportions, as a participle phrase."""
        return {
            "stretch": "stretched, whatever their proportions",
            "crop": "cut around the centre to its proportions",
            "pad": f"kept whole, with {self._background_name} around them",
        }[self.fit]

    @model_serializer(mode="wrap")
    def _without_a_default_fit(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Specs that were stored before there was a choice stay as they are."""
        values: dict[str, Any] = serialize(self)
        if self.fit == "stretch":
            values.pop("fit", None)
        return values

    @field_validator("shape", "size")
    @classmethod
    def _is_a_shape(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is None:
            return None
        if len(value) not in (2, 3) or min(value) < 1 or max(value) > MAX_SIDE or value[2:] not in ((), (1,), (3,)):
            raise ValueError(f"got {list(value)}; give [height, width] or [height, width, 3], 1 to {MAX_SIDE} pixels")
        return value

    @field_validator("classes")
    @classmethod
    def _are_classes(cls, value: tuple[str, ...] | int | None) -> tuple[str, ...] | int | None:
        names = range(value) if isinstance(value, int) else value
        if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
            raise ValueError(f"got {value!r}; give at least 2 classes, each once")
        return value


MAX_SIDE = 4096


class Data(Spec):
    """The data of a study: what it learns from, how images are split, and how they are scaled.

    Args:
        name: A data set of ``assay data list``. With ``path`` or ``content``, what to call the data.
        path: A file or folder of your own. In a study file, relative to that file.
        test: The test split, if ``path`` has none of its own: another file or folder; a share in (0, 1) or a count,
            drawn from each class; or the last images (:class:`Last`, or ``"last 20%"``).
        groups: Which images of ``path`` belong together (:class:`Groups`, or a column's name). No split divides a
            group.
        content: The SHA-256 that the content must have. Alone, it identifies arrays that were given from Python.
        read: How to read ``path``, if its files are ambiguous.
        corrections: A table of corrected labels (columns ``image``, ``label``, ``corrected``). In a study file,
            relative to that file. The data themselves are not changed. Runs train on the corrected labels, and their
            fingerprints follow the table.
        validation: The training images that are set aside for choices. A share in (0, 1) or a count: drawn by each
            seed. :class:`Last`, or ``"last 20%"``: the last ones. :class:`Folds`, or ``"5-fold"``: each fold in turn.
            ``"given"``: the source's own validation part, which otherwise counts as training images. ``"test"``: the
            test images, to repeat a published protocol; every result is then marked as leaky. ``"none"``: no images,
            for retraining only.
        training: How many training images of each class are used: ``"100 per class"``, drawn by the ``split`` stream
            after validation. All if ``None`` or ``"all per class"``. ``"{factor} per class"`` makes it a factor.
        stratified: Keep class shares equal in training and validation. ``True`` by default, but ``False`` for the last
            images.
        scaling: ``"unit"`` divides bytes by 255. ``"standard"`` then subtracts the training images' mean and divides by
            their standard deviation. ``"none"`` feeds bytes 0 to 255.
        as_published: The study repeats a published protocol. Only then may ``validation`` be ``"test"``.
        sets: Several data sets: a table of these keys for each. They override the keys given for all. A study file
            lists them under ``name``.

    Raises:
        SpecError: One or more rules are broken; ``problems`` holds each.

    Example:
        >>> assay.Data(name="digits").validation  # a tenth of the training images
        0.1
        >>> data = assay.Data(path="photos", test=0.2, validation="5-fold", groups="folder")
        >>> data.num_folds
        5
    """

    # A run's fingerprint identifies its data by their content, so these do not enter it.
    SOURCE: ClassVar[frozenset[str]] = frozenset(
        {"name", "path", "test", "groups", "content", "read", "corrections", "sets"}
    )

    name: str = Field(default="", json_schema_extra=_or_several)
    path: str | None = Field(default=None, min_length=1)
    test: str | float | int | Last | None = Field(default=None, json_schema_extra=_test_as_files_write_it)
    groups: Groups | None = Field(default=None, json_schema_extra=_groups_as_files_write_them)
    content: str | None = None
    read: Reading | None = None
    corrections: str | None = Field(default=None, min_length=1)
    validation: Validation = Field(default=0.1, json_schema_extra=_as_files_write_it)
    training: str | None = Field(default=None, json_schema_extra=_per_class_as_files_write_it)
    stratified: bool = True
    scaling: Literal["unit", "standard", "none"] = "unit"
    as_published: bool = False
    sets: tuple[dict[str, Any], ...] | None = Field(default=None, min_length=2)

    @property
    def members(self) -> tuple[Data, ...]:
        """Each of several data sets, with the keys that are given for all. Empty for one data set."""
        return tuple(self._member(index) for index in range(len(self.sets or ())))

    def on(self, name: str) -> Data:
        """Return one of several data sets.

        Args:
            name: The data set's name.
        """
        return next(member for member in self.members if member.name == name)

    def _member(self, index: int) -> Data:
        given = dict((self.sets or ())[index])
        shared = {key: getattr(self, key) for key in self.model_fields_set - {"sets", "name", "path"}}
        if "name" not in given and isinstance(given.get("path"), str):
            given["name"] = PurePath(given["path"]).stem
        if "validation" in given and "stratified" not in given:
            shared.pop("stratified", None)
        return Data.of({**shared, **given})

    @property
    def reading(self) -> Reading:
        """How files are read: ``read``, or its defaults."""
        return self.read or Reading()

    @property
    def num_folds(self) -> int | None:
        """The number of folds; ``None`` without folds."""
        return self.validation.folds if isinstance(self.validation, Folds) else None

    @property
    def is_drawn(self) -> bool:
        """Whether the ``split`` stream decides which images are trained on or set aside.

        This is so for a share, a count, folds, or a number of images of each class. The last images, the source's own
        validation part and a published protocol's test images are fixed.
        """
        is_fixed = isinstance(self.validation, Last) or self.validation in ("given", "test")
        return self.training is not None or not is_fixed

    @property
    def is_given(self) -> bool:
        """Whether the validation images are the source's own validation part."""
        return self.validation == "given"

    @property
    def is_leaky(self) -> bool:
        """Whether the validation images are the test images; of several data sets, of any."""
        return self.validation == "test" or any(one.get("validation") == "test" for one in self.sets or ())

    def identity(self) -> dict[str, Any]:
        """Return what a run depends on besides the data's content, as JSON values."""
        later = {"training"} if self.training is None else set()
        return self.model_dump(mode="json", exclude={*self.SOURCE, "as_published", *later})

    @property
    def per_class(self) -> int | None:
        """How many training images of each class are used; ``None`` for all.

        Raises:
            ValueError: The number is a factor: each arm has its own (``Study.data_of``).
        """
        return None if self.training is None else int(self.training.split()[0])

    @property
    def is_varied(self) -> bool:
        """Whether the number of training images is a factor."""
        return bool(placeholders(self.training))

    @property
    def whole(self) -> Data:
        """The same data with all training images."""
        return self.learning_from("all per class")

    def learning_from(self, images: str | None) -> Data:
        """Return the same data with a given number of training images of each class.

        Args:
            images: Such as ``"100 per class"``; ``None`` changes nothing.
        """
        if images is None:
            return self
        return self.model_copy(update={"training": None if images == WHOLE else images})

    @model_validator(mode="before")
    @classmethod
    def _a_list_is_several(cls, values: Any) -> Any:
        """``name = ["digits", { path = "mine.npz" }]`` and ``path = ["a.npz", "b.npz"]`` as ``sets``."""
        if not isinstance(values, dict):
            return values
        listed = [key for key in ("name", "path") if isinstance(values.get(key), list | tuple)]
        if not listed:
            return values
        if len(listed) > 1 or "sets" in values:
            raise Problems([Problem("data sets are listed twice", "list them under name", listed[-1])])
        key = listed[0]
        if not values[key]:
            raise Problems([Problem("this list is empty", "name one data set or more (assay data list)", key)])
        sets = [{key: one} if isinstance(one, str) else one for one in values[key]]
        if wrong := [place for place, one in enumerate(sets) if not isinstance(one, dict)]:
            what = f"got {values[key][wrong[0]]!r}"
            raise Problems(
                [Problem(what, 'give a name, or a table such as { path = "mine.npz" }', f"{key}[{wrong[0]}]")]
            )
        if len(sets) == 1:
            return {**{other: value for other, value in values.items() if other != key}, **sets[0]}
        return {**{other: value for other, value in values.items() if other != key}, "sets": sets}

    @model_serializer(mode="wrap")
    def _without_no_sets(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Specs that were stored before there could be several, or corrections, stay as they are."""
        values: dict[str, Any] = serialize(self)
        for key in ("sets", "corrections"):
            if getattr(self, key) is None:
                values.pop(key, None)
        return values

    @model_validator(mode="before")
    @classmethod
    def _last_images_are_not_stratified_by_default(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "stratified" in values:
            return values
        validation = values.get("validation")
        is_last = isinstance(validation, Last) or (isinstance(validation, dict) and "last" in validation)
        is_last = is_last or (isinstance(validation, str) and validation.startswith("last"))
        return {**values, "stratified": False} if is_last else values

    @field_validator("validation", mode="before")
    @classmethod
    def _says_which_images(cls, given: Any) -> Any:
        value = given
        if isinstance(value, Last | Folds) or value in ("given", "test", "none") or _is_share_or_count(value):
            return value
        if (last := last_of(value)) is not None:
            return last
        if isinstance(value, str) and (match := re.fullmatch(r"(\d+)-fold", value)):
            value = {"folds": int(match[1])}
        if isinstance(value, dict) and value.keys() == {"folds"}:
            if isinstance(value["folds"], bool) or not isinstance(value["folds"], int) or value["folds"] < 2:
                raise Problems([Problem(f"got {value['folds']!r} folds", "give 2 or more")])
            return Folds(folds=value["folds"])
        raise ValueError(f"got {given!r}; {_FIX}")

    @field_validator("test", mode="before")
    @classmethod
    def _is_a_place_or_a_share(cls, value: Any) -> Any:
        if (last := last_of(value)) is not None:
            return last
        if value is None or (isinstance(value, str) and value) or _is_share_or_count(value):
            return value
        fix = 'a share such as 0.2, a count such as 2000, or the last images in file order such as "last 2000"'
        raise ValueError(f"got {value!r}; give a file, a folder, {fix}")

    @field_validator("groups", mode="before")
    @classmethod
    def _is_a_group_spec(cls, value: Any) -> Any:
        if value is None or isinstance(value, dict | Groups) or (isinstance(value, str) and value):
            return value
        raise ValueError(f"got {value!r}; {_GROUPS_FIX}")

    @field_validator("content")
    @classmethod
    def _is_a_sha256(cls, value: str | None) -> str | None:
        if value is None or re.fullmatch("[0-9a-f]{64}", value):
            return value
        raise ValueError(f'got "{value}"; give the 64 digits (0-9, a-f) of the SHA-256 that assay data show prints')

    @field_validator("training")
    @classmethod
    def _is_so_many_per_class(cls, value: str | None) -> str | None:
        if value is None or PER_CLASS.fullmatch(value) or (placeholders(value) and _VARIED.fullmatch(value)):
            return None if value == WHOLE else value
        raise ValueError(f'got "{value}"; {PER_CLASS_FIX}')

    @model_validator(mode="after")
    def _leaks_only_as_published(self) -> Self:
        if self.validation == "test" and not self.as_published:
            what = "the test images are sealed, and choosing by them would leak them"
            fix = "give a share such as 0.1, or as_published = true to repeat a published protocol, marked as leaky"
            raise Problems([Problem(what, fix, "validation")])
        return self

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if self.sets is not None:
            return self._are_sets()
        problems = []
        if not (self.name or self.path or self.content):
            problems.append(Problem("there are no data", "add name (assay data list) or path (your files)", "name"))
        if self.path is None:
            bound = [key for key in ("test", "groups") if getattr(self, key) is not None]
            if self.read is not None:
                given = self.read.model_dump(exclude_defaults=True).keys()
                bound += [f"read.{key}" for key in sorted(given - Reading.OF_PICTURES)]
            problems += [
                Problem("this belongs to path, and there is none", "add path or remove it", key) for key in bound
            ]
        if problems:
            raise Problems(problems)
        return self

    def _are_sets(self) -> Self:
        """Each data set by itself keeps the rules, under a name of its own."""
        problems: list[Problem] = []
        members: list[Data] = []
        for index in range(len(self.sets or ())):
            try:
                members.append(self._member(index))
            except SpecError as error:
                problems += [replace(problem, key=f"name[{index}]") for problem in error.problems]
                continue
            name = members[-1].name
            if not re.fullmatch(r"[\w.-]+", name):
                fix = "give it one of letters, digits, _, - and ."
                problems.append(Problem(f'"{name}" is no name for a data set among several', fix, f"name[{index}]"))
            elif name in [member.name for member in members[:-1]]:
                fix = 'give each a name of its own: { name = "...", path = "..." }'
                problems.append(Problem(f'two data sets are called "{name}"', fix, f"name[{index}]"))
        if not problems and len({member.num_folds for member in members}) > 1:
            what = "some data sets have folds and others have not"
            problems.append(Problem(what, "say the same of all", "validation"))
        if problems:
            raise Problems(problems)
        return self

    @property
    def for_retraining(self) -> Data:
        """The same data without validation images: a retrained arm trains on training and validation images."""
        return self.model_copy(update={"validation": "none", "stratified": True})

    def treatment(self, name: str) -> Data:
        """Return how the data are split and scaled, without their source.

        Args:
            name: The name of the result.
        """
        cleared = dict.fromkeys(self.SOURCE - {"name"})
        return self.model_copy(update={**cleared, "name": name})


def _is_share_or_count(value: Any) -> bool:
    if isinstance(value, float):
        return 0 < value < 1
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
