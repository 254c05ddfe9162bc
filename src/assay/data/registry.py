"""The data sets that Assay knows by name: what they hold, where they come from, how they are recognised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..errors import Problem, SpecError, nearest
from .types import DatasetInfo


@dataclass(frozen=True)
class RawFile:
    """One IDX file of a data set.

    Args:
        name: Its name on the mirrors; without ``.gz`` it is recognised too.
        sha256: Of the decompressed content, since gzip writes the time of packing into the packed one.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A data set of the registry. The arguments that ``DatasetInfo`` has too mean the same there.

    Args:
        sha256: Of the four plain IDX files: training images, training labels, test images, test labels.
        mirrors: Addresses of folders that hold the files, in the order in which they are tried; none where
            the data come with an installed package.
    """

    name: str
    title: str
    height: int
    width: int
    channels: int
    classes: tuple[str, ...]
    num_training: int
    num_test: int
    sha256: tuple[str, str, str, str]
    mirrors: tuple[str, ...]
    sources: tuple[str, ...]
    licence: str
    citation: str
    test_split_note: str

    @property
    def files(self) -> tuple[RawFile, RawFile, RawFile, RawFile]:
        """Training images, training labels, test images, test labels."""
        images, labels = "images-idx3-ubyte.gz", "labels-idx1-ubyte.gz"
        return (
            RawFile(f"train-{images}", self.sha256[0]),
            RawFile(f"train-{labels}", self.sha256[1]),
            RawFile(f"t10k-{images}", self.sha256[2]),
            RawFile(f"t10k-{labels}", self.sha256[3]),
        )

    @property
    def content(self) -> str:
        """SHA-256 over the four files' SHA-256, written one after the other as hexadecimal digits."""
        return hashlib.sha256("".join(self.sha256).encode()).hexdigest()

    @property
    def is_bundled(self) -> bool:
        """The data come with an installed package: there is nothing to fetch."""
        return not self.mirrors

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo(
            name=self.name,
            title=self.title,
            height=self.height,
            width=self.width,
            channels=self.channels,
            classes=self.classes,
            num_training=self.num_training,
            num_test=self.num_test,
            content=self.content,
            licence=self.licence,
            citation=self.citation,
            sources=self.sources,
            test_split_note=self.test_split_note,
        )


_DIGIT_NAMES = tuple("0123456789")

_DIGITS = Entry(
    name="digits",
    title="Optical digits (8x8)",
    height=8,
    width=8,
    channels=1,
    classes=_DIGIT_NAMES,
    num_training=1438,
    num_test=359,
    sha256=(
        "603626f766752c81a4fe26ccb50f6f92c82f4b4773b9313336d89cfae7eaea6a",
        "70c2ed6616d431cca995c994103fce07d846a938474b31ef3fb7baf8941940d7",
        "5564a58456bd9a06532456495dd8ca1aa2476b03cc556873533186c758e6c408",
        "03d467b17ac435b24703ffae0f20d5683e113e91f5823164a972859e7679e6e2",
    ),
    mirrors=(),
    sources=("sklearn.datasets.load_digits", "https://archive.ics.uci.edu/dataset/80"),
    licence="CC BY 4.0 (UCI Machine Learning Repository)",
    citation="""@misc{alpaydin1998optical,
  author = {Alpaydin, Ethem and Kaynak, Cenk},
  title = {Optical Recognition of Handwritten Digits},
  year = {1998},
  howpublished = {UCI Machine Learning Repository},
  doi = {10.24432/C50P49}
}""",
    test_split_note=(
        "scikit-learn gives these 1,797 images without a test split, so Assay fixes one: a fifth of each class, drawn "
        "once, the same for everybody. The same writers are in both parts, so a score says nothing about new writers."
    ),
)

_MNIST = Entry(
    name="mnist",
    title="MNIST",
    height=28,
    width=28,
    channels=1,
    classes=_DIGIT_NAMES,
    num_training=60_000,
    num_test=10_000,
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    sources=("http://yann.lecun.com/exdb/mnist/",),
    licence="CC BY-SA 3.0",
    citation="""@article{lecun1998gradient,
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  title = {Gradient-Based Learning Applied to Document Recognition},
  journal = {Proceedings of the IEEE},
  volume = {86},
  number = {11},
  pages = {2278--2324},
  year = {1998},
  doi = {10.1109/5.726791}
}""",
    test_split_note="The authors' split: no writer of the 10,000 test images wrote a training image.",
)

_FASHION_MNIST = Entry(
    name="fashion_mnist",
    title="Fashion-MNIST",
    height=28,
    width=28,
    channels=1,
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    num_training=60_000,
    num_test=10_000,
    sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    sources=("https://github.com/zalandoresearch/fashion-mnist",),
    licence="MIT",
    citation="""@misc{xiao2017fashion,
  author = {Xiao, Han and Rasul, Kashif and Vollgraf, Roland},
  title = {Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms},
  year = {2017},
  eprint = {1708.07747},
  archiveprefix = {arXiv}
}""",
    test_split_note="The authors' split: 10,000 of 70,000 product pictures, 1,000 of each class.",
)

_ENTRIES = {wanted.name: wanted for wanted in (_DIGITS, _MNIST, _FASHION_MNIST)}


def known() -> tuple[str, ...]:
    """Names of all data sets in the registry."""
    return tuple(_ENTRIES)


def entry(name: str) -> Entry:
    """The data set of that name.

    Raises:
        SpecError: There is none.
    """
    if name not in _ENTRIES:
        raise SpecError(Problem(f'"{name}" is no known data set', nearest(name, known()), "data.name"))
    return _ENTRIES[name]
