"""The data sets that Assay knows by name: what they hold, where they come from, how their files are recognised.

SHA-256 of packed files are those that TensorFlow Datasets publishes, MD5 those of torchvision.
"""

from __future__ import annotations

import string

from .entries import Entry, RawFile

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

_KMNIST = Entry(
    name="kmnist",
    title="Kuzushiji-MNIST",
    height=28,
    width=28,
    channels=1,
    classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    num_training=60_000,
    num_test=10_000,
    sha256=(),
    packed=(
        RawFile(
            "train-images-idx3-ubyte.gz",
            packed="sha256:51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        ),
        RawFile(
            "train-labels-idx1-ubyte.gz",
            packed="sha256:e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        ),
        RawFile(
            "t10k-images-idx3-ubyte.gz",
            packed="sha256:edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        ),
        RawFile(
            "t10k-labels-idx1-ubyte.gz",
            packed="sha256:20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
    mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    sources=("https://github.com/rois-codh/kmnist",),
    licence="CC BY-SA 4.0",
    citation="""@misc{clanuwat2018deep,
  author = {Clanuwat, Tarin and Bober-Irizar, Mikel and Kitamoto, Asanobu and Lamb, Alex and Yamamoto, Kazuaki
            and Ha, David},
  title = {Deep Learning for Classical Japanese Literature},
  year = {2018},
  eprint = {1812.01718},
  archiveprefix = {arXiv}
}""",
    test_split_note="The authors' split: 10,000 of 70,000 characters, 1,000 of each class.",
)

_MERGED = (*_DIGIT_NAMES, *string.ascii_uppercase, *"abdefghnqrt")
_EMNIST_SPLITS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "balanced": (_MERGED, 112_800, 18_800),
    "byclass": ((*_DIGIT_NAMES, *string.ascii_uppercase, *string.ascii_lowercase), 697_932, 116_323),
    "bymerge": (_MERGED, 697_932, 116_323),
    "digits": (_DIGIT_NAMES, 240_000, 40_000),
    "letters": (tuple(string.ascii_lowercase), 124_800, 20_800),
    "mnist": (_DIGIT_NAMES, 60_000, 10_000),
}


def _emnist(part: str) -> Entry:
    classes, num_training, num_test = _EMNIST_SPLITS[part]
    return Entry(
        name=f"emnist_{part}",
        title=f"EMNIST {part}",
        height=28,
        width=28,
        channels=1,
        classes=classes,
        num_training=num_training,
        num_test=num_test,
        sha256=(),
        packed=(RawFile("gzip.zip", packed="sha256:fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),),
        form="emnist",
        folder="emnist",
        mirrors=(
            "https://biometrics.nist.gov/cs_links/EMNIST/",
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
        ),
        sources=("https://www.nist.gov/itl/products-and-services/emnist-dataset",),
        licence="Made from NIST Special Database 19, a work of the United States government; none is stated",
        citation="""@inproceedings{cohen2017emnist,
  author = {Cohen, Gregory and Afshar, Saeed and Tapson, Jonathan and van Schaik, Andr{\\'e}},
  title = {{EMNIST}: Extending {MNIST} to Handwritten Letters},
  booktitle = {International Joint Conference on Neural Networks},
  pages = {2921--2926},
  year = {2017},
  doi = {10.1109/IJCNN.2017.7966217}
}""",
        test_split_note="The authors' split. One download of 562 MB serves all six EMNIST data sets.",
    )


_QMNIST = Entry(
    name="qmnist",
    title="QMNIST",
    height=28,
    width=28,
    channels=1,
    classes=_DIGIT_NAMES,
    num_training=60_000,
    num_test=60_000,
    sha256=(),
    packed=(
        RawFile("qmnist-train-images-idx3-ubyte.gz", packed="md5:ed72d4157d28c017586c42bc6afe6370"),
        RawFile("qmnist-train-labels-idx2-int.gz", packed="md5:0058f8dd561b90ffdd0f734c6a30e5e4"),
        RawFile("qmnist-test-images-idx3-ubyte.gz", packed="md5:1394631089c404de565df7b7aeaf9412"),
        RawFile("qmnist-test-labels-idx2-int.gz", packed="md5:5b5b05890a5e13444e108efe57b788aa"),
    ),
    mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
    sources=("https://github.com/facebookresearch/qmnist",),
    licence="BSD 3-Clause",
    citation="""@inproceedings{yadav2019cold,
  author = {Yadav, Chhavi and Bottou, L{\\'e}on},
  title = {Cold Case: The Lost {MNIST} Digits},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {32},
  year = {2019}
}""",
    test_split_note=(
        "The authors' split: the first 10,000 of the 60,000 test images rebuild MNIST's test images, "
        "the others the ones that were lost."
    ),
)

_USPS = Entry(
    name="usps",
    title="USPS",
    height=16,
    width=16,
    channels=1,
    classes=_DIGIT_NAMES,
    num_training=7_291,
    num_test=2_007,
    sha256=(),
    packed=(
        RawFile("usps.bz2", packed="md5:ec16c51db3855ca6c91edd34d0e9b197"),
        RawFile("usps.t.bz2", packed="md5:8ea070ee2aca1ac39742fdd1ef5ed118"),
    ),
    form="usps",
    mirrors=("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",),
    sources=("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass.html#usps",),
    licence="None is stated",
    citation="""@article{hull1994database,
  author = {Hull, Jonathan J.},
  title = {A Database for Handwritten Text Recognition Research},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  volume = {16},
  number = {5},
  pages = {550--554},
  year = {1994},
  doi = {10.1109/34.291440}
}""",
    test_split_note="The publishers' split. Grey levels from -1 to 1 are rounded to bytes.",
)

_SVHN = Entry(
    name="svhn",
    title="SVHN (cropped digits)",
    height=32,
    width=32,
    channels=3,
    classes=_DIGIT_NAMES,
    num_training=73_257,
    num_test=26_032,
    sha256=(),
    packed=(
        RawFile("train_32x32.mat", packed="sha256:435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
        RawFile("test_32x32.mat", packed="sha256:cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
    ),
    form="svhn",
    mirrors=("http://ufldl.stanford.edu/housenumbers/",),
    sources=("http://ufldl.stanford.edu/housenumbers/",),
    licence="For non-commercial use only",
    citation="""@inproceedings{netzer2011reading,
  author = {Netzer, Yuval and Wang, Tao and Coates, Adam and Bissacco, Alessandro and Wu, Bo and Ng, Andrew Y.},
  title = {Reading Digits in Natural Images with Unsupervised Feature Learning},
  booktitle = {NIPS Workshop on Deep Learning and Unsupervised Feature Learning},
  year = {2011}
}""",
    test_split_note="The authors' split. The 531,131 easier, extra images are left out.",
)

_CIFAR_CITATION = """@techreport{krizhevsky2009learning,
  author = {Krizhevsky, Alex},
  title = {Learning Multiple Layers of Features from Tiny Images},
  institution = {University of Toronto},
  year = {2009}
}"""

_CIFAR10 = Entry(
    name="cifar10",
    title="CIFAR-10",
    height=32,
    width=32,
    channels=3,
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    num_training=50_000,
    num_test=10_000,
    sha256=(),
    packed=(
        RawFile(
            "cifar-10-binary.tar.gz", packed="sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
        ),
    ),
    form="cifar10",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    sources=("https://www.cs.toronto.edu/~kriz/cifar.html",),
    licence="None is stated",
    citation=_CIFAR_CITATION,
    test_split_note=(
        "The authors' split: 1,000 test images of each class. Some test images have near duplicates among the training "
        "images (Barz and Denzler 2020 count 3.3 %)."
    ),
)

_CIFAR100_NAMES = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly "
    "camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup "
    "dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower "
    "leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid "
    "otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray "
    "road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar "
    "sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle "
    "wardrobe whale willow_tree wolf woman worm "
)

_CIFAR100 = Entry(
    name="cifar100",
    title="CIFAR-100",
    height=32,
    width=32,
    channels=3,
    classes=tuple(_CIFAR100_NAMES.split()),
    num_training=50_000,
    num_test=10_000,
    sha256=(),
    packed=(
        RawFile(
            "cifar-100-binary.tar.gz", packed="sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
        ),
    ),
    form="cifar100",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    sources=("https://www.cs.toronto.edu/~kriz/cifar.html",),
    licence="None is stated",
    citation=_CIFAR_CITATION,
    test_split_note=(
        "The authors' split: 100 test images of each class. Some test images have near duplicates among the training "
        "images (Barz and Denzler 2020 count 10 %)."
    ),
)

ENTRIES = (
    _DIGITS,
    _MNIST,
    _FASHION_MNIST,
    _KMNIST,
    *map(_emnist, _EMNIST_SPLITS),
    _QMNIST,
    _USPS,
    _SVHN,
    _CIFAR10,
    _CIFAR100,
)
