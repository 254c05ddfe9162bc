"""Per-image results: what is stored of a run, and how it is read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.store import ImageHits, StoreFollower, StudyRecord, open_reader, open_writer
from assay.store.writer import StoreWriter

from .test_store import put_study

RNG = np.random.default_rng(1908)


def drawn(size: int, num_images: int) -> tuple[np.ndarray, np.ndarray]:
    return np.sort(RNG.permutation(num_images)[:size]), RNG.random(size) < 0.9


def finish(writer: StoreWriter, run: str, hits: ImageHits | None) -> None:
    writer.put_finished("s", run, seconds=1.0, peak_memory_bytes=1, weights=("w", "hash", 3), hits=hits)


def unpacked(study: StudyRecord, run: str) -> tuple[list[int], list[bool]]:
    name, hits = study.validation_hits[run]
    indices = study.image_sets[name]
    bits = np.unpackbits(np.frombuffer(hits, np.uint8), count=len(indices)).astype(bool)
    return indices.tolist(), bits.tolist()


@pytest.mark.parametrize("is_brief", [False, True])
def test_images_and_hits_are_read_back(is_brief: bool, tmp_path: Path) -> None:
    one, other = drawn(180, 1437), drawn(181, 60_000)
    with open_writer(tmp_path) as writer:
        put_study(writer)
        for run, (indices, is_hit) in {"a-0": one, "b-0": other}.items():
            hits = ImageHits.of("training", indices, is_hit)
            assert (hits.num_images, hits.accuracy) == (len(indices), is_hit.mean())
            finish(writer, run, hits)
        finish(writer, "a-1", None)
    with open_reader(tmp_path) as reader:
        study = reader.study("s", is_brief=is_brief)
    assert set(study.validation_hits) == {"a-0", "b-0"}
    for run, (indices, is_hit) in {"a-0": one, "b-0": other}.items():
        assert unpacked(study, run) == (indices.tolist(), is_hit.tolist())


def test_equal_images_are_one_set_and_those_of_another_part_another() -> None:
    indices, is_hit = drawn(50, 100)
    one = ImageHits.of("training", indices, is_hit)
    assert one.image_set == ImageHits.of("training", indices, ~is_hit).image_set
    assert one.image_set != ImageHits.of("test", indices, is_hit).image_set
    assert one.image_set != ImageHits.of("training", indices[1:], is_hit[1:]).image_set


@pytest.mark.parametrize(("indices", "num_bits"), [([], 0), ([3, 2], 2), ([2, 2], 2), ([1, 2], 3), ([-1, 2], 2)])
def test_hits_need_ascending_images_and_a_bit_for_each(indices: list[int], num_bits: int) -> None:
    with pytest.raises(ValueError, match="by ascending index"):
        ImageHits.of("training", np.array(indices, np.int64), np.ones(num_bits, bool))


def test_hits_never_outlive_the_weights_that_they_are_of(tmp_path: Path) -> None:
    indices, is_hit = drawn(20, 100)
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0", ImageHits.of("training", indices, is_hit))
        finish(writer, "b-0", ImageHits.of("training", indices, is_hit))
        finish(writer, "a-0", ImageHits.of("training", indices, ~is_hit))
        finish(writer, "b-0", None)
    with open_reader(tmp_path) as reader:
        study = reader.study("s")
    assert set(study.validation_hits) == {"a-0"}
    assert unpacked(study, "a-0") == (indices.tolist(), (~is_hit).tolist())


def test_planning_again_keeps_hits(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        put_study(writer)
        finish(writer, "a-0", ImageHits.of("training", *drawn(20, 100)))
        put_study(writer, seeds=3)
    with open_reader(tmp_path) as reader:
        assert set(reader.study("s").validation_hits) == {"a-0"}


def test_a_followed_study_gets_hits_as_runs_finish(tmp_path: Path) -> None:
    indices, is_hit = drawn(20, 100)
    with open_writer(tmp_path) as writer:
        put_study(writer)
        follower = StoreFollower(tmp_path)
        assert not follower.study("s").record.validation_hits
        finish(writer, "a-0", ImageHits.of("training", indices, is_hit))
        follower.poll()
        writer.put_validation_hits("s", "b-0", ImageHits.of("training", indices[:9], is_hit[:9]))
        follower.poll()
        record = follower.study("s").record
        follower.close()
    assert unpacked(record, "a-0") == (indices.tolist(), is_hit.tolist())
    assert unpacked(record, "b-0") == (indices[:9].tolist(), is_hit[:9].tolist())
