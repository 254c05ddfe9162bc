"""Artifacts in a bucket: a server of S3's protocol on loopback, asked through s3fs as a cluster's machines do."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import assay
from assay.errors import ClusterError
from assay.runner.artifacts import Artifacts, checked

from ..cluster import Nodes
from ..held import wait_until
from ..helpers import small_study
from .ray_runs import Recorder, assert_same

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("moto", "s3fs", "flask"))), reason="moto's server or s3fs is not installed"
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server with no buckets."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with socket.socket() as asked:
            return asked.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(answers)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """The S3 client, with one bucket, ``bucket``, that holds somebody else's file."""
    import boto3
    import s3fs

    for name, value in {
        "AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="theirs", Body=b"untouched")
    client.put_object(Bucket="bucket", Key="assay-of-others/run/weights", Body=b"untouched")
    yield client
    for key in keys(client):
        client.delete_object(Bucket="bucket", Key=key)


THEIRS = ["assay-of-others/run/weights", "theirs"]


def keys(client: Any) -> list[str]:
    return [row["Key"] for row in client.list_objects_v2(Bucket="bucket").get("Contents", [])]


def buckets(client: Any) -> list[str]:
    return [row["Name"] for row in client.list_buckets()["Buckets"]]


def test_a_file_comes_back_as_it_was_and_nothing_else_stays(bucket: Any, tmp_path: Path) -> None:
    place = checked("s3://bucket/assay")
    assert keys(bucket) == THEIRS  # nothing of having tried it
    file, back = tmp_path / "weights", tmp_path / "home" / "weights"
    for content in (b"first" * 3_000_000, b"second"):  # in several parts, and in one
        file.write_bytes(content)
        place.put("run", file)
        assert keys(bucket) == ["assay-of-others/run/weights", "assay/run/weights", "theirs"]
        assert place.get("run", back)
        assert back.read_bytes() == content
    assert not place.get("run", tmp_path / "checkpoint")
    place.remove("run")
    place.remove("run")
    assert keys(bucket) == THEIRS


def test_a_bucket_that_is_not_there_is_refused_and_not_made(bucket: Any) -> None:
    with pytest.raises(ClusterError, match=r"s3://nobody/assay cannot be written \(.*bucket does not exist"):
        checked("s3://nobody/assay")
    with pytest.raises(ClusterError):
        Artifacts("s3://nobody/assay").put("run", Path(__file__))
    assert buckets(bucket) == ["bucket"]


def test_another_machine_sees_what_this_one_has_written(bucket: Any) -> None:
    place = checked("s3://bucket/assay")
    assert "does not see" in place.why_not(".sign")
    place.mark(".sign")
    assert place.why_not(".sign") == ""
    place.unmark(".sign")
    assert keys(bucket) == THEIRS


def test_a_key_that_may_not_write_is_refused_with_its_reason(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    def denied(*values: object, **settings: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(S3FileSystem, "open", denied)
    with pytest.raises(ClusterError, match=r"cannot be written \(Access Denied"):
        checked("s3://bucket/assay")


@pytest.mark.parametrize("keys_there", [True, False], ids=["credentials", "no credentials"])
def test_no_host_is_asked_but_the_one_that_was_named(
    keys_there: bool, bucket: Any, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a process of its own, as everything that asks is: names that are looked up, and addresses that are called.
    code = """
import socket, sys
asked = set()
look, call = socket.getaddrinfo, socket.socket.connect
socket.getaddrinfo = lambda host, *more, **settings: (asked.add(str(host)), look(host, *more, **settings))[1]
class Watched(socket.socket):
    def connect(self, address):
        asked.add(str(address[0])); return call(self, address)
    def connect_ex(self, address):
        asked.add(str(address[0])); return super().connect_ex(address)
socket.socket = Watched
from assay.runner.artifacts import checked
try:
    checked("s3://bucket/assay")
except Exception as error:
    print(error, file=sys.stderr)
print(sorted(asked))
"""
    if not keys_there:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    asked = answer.stdout.strip()
    assert asked == "['127.0.0.1']" or (not keys_there and asked == "[]"), answer.stderr
    assert keys_there or "credentials" in answer.stderr


@pytest.mark.ray
@pytest.mark.slow
def test_a_study_keeps_its_artifacts_in_a_bucket(bucket: Any, no_nodes: Nodes, tmp_path: Path) -> None:
    import os

    variables = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for name in ("one", "two"):
        no_nodes.add(name, **variables)
    study = small_study(training={"epochs": 4, "batch_size": 32}, seeds={"count": 2})
    seen: set[str] = set()
    recorder = Recorder(lambda event: seen.update(keys(bucket)))
    assay.run(study, store=tmp_path / "there", on="ray", artifacts="s3://bucket/assay", workers=2, progress=recorder)
    assert any(key.endswith("checkpoint.safetensors") for key in seen)
    assert keys(bucket) == THEIRS
    assay.run(study, store=tmp_path / "here")
    assert_same(tmp_path / "there", tmp_path / "here")
