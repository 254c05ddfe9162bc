"""Large photographs: decoded at a fraction of their size within a bound, side by side, never all in memory."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageOps

from assay.data.readers import parallel, room
from assay.data.readers.pictures import decode
from assay.data.readers.scaled import LEAST_OVERSAMPLING, reduce, to_size, typical_size
from assay.errors import DataError
from assay.spec import Reading

RNG = np.random.default_rng(61)
MEAN, LARGEST = 1.0, 3  # levels of 255, as docs/guides/data.md states them for photographs


def photograph(height: int, width: int, seed: int = 1) -> np.ndarray:
    """Noise with a natural image's spectrum (amplitude 1/f), a disc with a sharp edge, and a camera's noise."""
    rng = np.random.default_rng(seed)
    small = (-(-height // 4), -(-width // 4))
    frequency = np.hypot(np.fft.fftfreq(small[0])[:, None], np.fft.rfftfreq(small[1]))
    planes = []
    for _ in range(3):
        spectrum = np.fft.rfft2(rng.normal(size=small)) / np.maximum(frequency, 1 / max(small))
        plane = np.fft.irfft2(spectrum, s=small)
        plane = 255 * (plane - plane.min()) / np.ptp(plane)
        planes.append(np.asarray(Image.fromarray(np.uint8(plane)).resize((width, height), Image.Resampling.BICUBIC)))
    image = np.stack(planes, axis=2).astype(float)
    rows, columns = np.mgrid[:height, :width]
    image[(rows - height / 3) ** 2 + (columns - width / 2) ** 2 < (min(height, width) / 5) ** 2] = (200, 60, 30)
    return np.uint8((image + rng.normal(0, 3, image.shape)).clip(0, 255))


def jpeg(values: np.ndarray, **how: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG", **{"quality": 90, **how})
    return file.getvalue()


def read(*contents: bytes, **reading: object) -> np.ndarray:
    return decode(lambda: enumerate(contents), [f"{k}.jpg" for k in range(len(contents))], Reading(**reading), "here")[
        0
    ]


def whole(content: bytes, size: tuple[int, int], fit: str) -> np.ndarray:
    """The picture decoded whole, turned, and then resized in the same way."""
    return np.asarray(to_size(ImageOps.exif_transpose(Image.open(io.BytesIO(content))), size, Reading(fit=fit)))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(900, 1200), (601, 1207), (1501, 997)])
def test_a_photograph_decoded_at_a_fraction_is_within_the_stated_bound_of_the_whole(shape, fit):
    content, size = jpeg(photograph(*shape)), (32, 48)
    picture = Image.open(io.BytesIO(content))
    reduce(picture, size)
    assert picture.width < shape[1]  # else this test shows nothing
    image = read(content, size=size, fit=fit)[0].astype(int)
    apart = np.abs(image - whole(content, size, fit))
    assert apart.mean() <= MEAN
    assert apart.max() <= LARGEST


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_stands_upright_to_the_pixel(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = jpeg(photograph(601, 1207), exif=exif)  # neither side is a multiple of 8: what is left over is cut off
    apart = np.abs(read(content, size=(24, 56))[0].astype(int) - whole(content, (24, 56), "stretch"))
    assert apart.mean() <= MEAN
    assert apart.max() <= LARGEST


def test_hard_edges_and_fine_patterns_stay_near_too():
    rows, columns = np.mgrid[:1200, :1600]
    board = np.uint8(255 * ((rows // 7 + columns // 7) % 2))
    blocks = np.kron(RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8), np.ones((50, 50, 1), np.uint8))
    for values, largest in ((board, 8), (blocks, 32)):
        content = jpeg(values, quality=95, **({"subsampling": 0} if values.ndim == 3 else {}))
        image = read(content, size=(48, 48))[0].astype(int)
        expected = np.asarray(Image.open(io.BytesIO(content)).resize((48, 48), Image.Resampling.BILINEAR))
        apart = np.abs(image - expected.reshape(image.shape))
        assert apart.max() <= largest
        assert apart.mean() <= 1.5


def test_a_picture_that_is_not_large_is_decoded_whole():
    side = 2 * LEAST_OVERSAMPLING * 32 - 8
    content = jpeg(photograph(side, side))
    assert np.array_equal(read(content, size=(32, 32))[0], whole(content, (32, 32), "stretch"))


def test_files_decoded_side_by_side_keep_their_order_and_their_faults():
    contents = [jpeg(photograph(700, 500, seed), quality=95) for seed in range(9)]
    assert min(map(len, contents)) > parallel.LEAST_BYTES
    images = read(*contents, size=(16, 16))
    for image, content in zip(images, contents, strict=True):
        assert np.array_equal(image, read(content, size=(16, 16))[0])
    contents[4] = contents[4][:20_000] + b"\0" * 40_000
    contents[6] = b"GIF89a" + bytes(50_000)
    with pytest.raises(DataError, match=r"of 9 files .*6\.jpg"):
        read(*contents, size=(16, 16))


def test_many_photographs_are_never_all_in_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    monkeypatch.setattr(room, "MOST_IN_MEMORY", 1 << 16)
    contents = [jpeg(photograph(640, 480, seed)) for seed in range(3)]
    count, side = 300, 128
    names = [f"{k}.jpg" for k in range(count)]
    stream = lambda: ((k, contents[k % 3]) for k in range(count))  # noqa: E731
    tracemalloc.start()
    images, _, _ = decode(stream, names, Reading(size=(side, side)), "here")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert images.nbytes == count * side * side * 3 > 14_000_000
    assert peak < 5_000_000
    assert np.array_equal(images[299], images[2])
    assert not list((tmp_path / "reading").iterdir())  # its file has no name, and ends with the array


def test_photographs_without_a_size_are_asked_about():
    content = jpeg(photograph(900, 1200))
    with pytest.raises(DataError, match=r"900 x 1200.* 3\.2 MB each.*size = \[96, 96\]") as caught:
        read(*[content] * 4)
    assert caught.value.problems[0].remedy == {"read": {"size": (96, 96)}}


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3 + [(30, 28)], (28, 28)),
        ([(480, 640), (600, 300), (3000, 4000)], (96, 96)),
        ([(80, 100), (120, 90), (100, 100)], (64, 64)),
        ([(40, 50), (45, 60), (33, 50)], (32, 32)),
        ([(10, 12), (12, 11), (11, 14)], (11, 11)),
        ([(3000, 4000)] * 5, (96, 96)),
    ],
)
def test_the_size_that_is_proposed_is_one_that_small_networks_take(sizes, expected):
    assert typical_size(sizes) == expected
