"""One look at the store serves all pages; streams of events end with the server; slow bodies are given up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from assay.store import ArmRecord, open_reader, open_writer
from assay.web import limits, make_app
from assay.web import watch as watching
from assay.web.limits import Refused
from assay.web.watch import Watch

from ..stored import put_scores, put_study
from .conftest import HOSTS, URL


def plan(store: Path, name: str) -> None:
    with open_writer(store) as writer:
        arms = [ArmRecord("a", 0, {}, {})]
        writer.put_study(name=name, question="", spec={}, data={}, arms=arms, members=[], runs=[])


def message(event: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(event.removeprefix("data: "))
    return found


async def following(stream: AsyncIterator[str]) -> dict[str, object]:
    async for event in stream:
        if event.startswith("data: "):
            return message(event)
    raise AssertionError("the stream ended")


def test_pages_are_told_of_changes_of_trouble_and_of_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_INTERVAL", 0.01)
    store = tmp_path / "store"

    async def story() -> None:
        watch = Watch(store)
        looking = asyncio.create_task(watch.run())
        try:
            streams = [watch.events() for _ in range(3)]
            for stream in streams:
                assert (await anext(stream)).startswith("retry: ")
                assert "there is no store here" in str((await following(stream))["trouble"])
            plan(store, "one")
            first = [await following(stream) for stream in streams]
            assert {str(told["trouble"]) for told in first} == {""}
            plan(store, "two")
            second = [await following(stream) for stream in streams]
            assert all(int(str(b["version"])) > int(str(a["version"])) for a, b in zip(first, second, strict=True))
            assert set(await watch.ask(lambda f: [s.name for s in f.overviews()])) == {"one", "two"}
            await watch.end()
            for stream in streams:
                async for _ in stream:
                    pass
        finally:
            looking.cancel()
            watch.close()

    asyncio.run(asyncio.wait_for(story(), 300))


def test_more_pages_than_can_be_served_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MAX_STREAMS", 2)

    async def story() -> None:
        watch = Watch(tmp_path)
        streams = [watch.events() for _ in range(3)]
        await anext(streams[0])
        await anext(streams[1])
        with pytest.raises(Refused) as caught:
            await anext(streams[2])
        assert caught.value.status == 503
        await streams[0].aclose()  # a page that is closed makes room
        await anext(watch.events())
        watch.close()

    asyncio.run(asyncio.wait_for(story(), 300))


def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.requests import Request

    monkeypatch.setattr(limits, "BODY_SECONDS", 0.05)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"image/png")]}
    with pytest.raises(Refused) as caught:
        asyncio.run(limits.body_of(Request(scope, receive), 1 << 20, ("image/png",)))
    assert caught.value.status == 408


def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"this is no database" * 100)
    with TestClient(make_app(tmp_path, HOSTS), base_url=URL) as client:
        answer = client.get("/api/studies")
        assert answer.status_code == 503
        assert "damaged" in answer.json()["error"]


def test_a_page_that_shows_a_verdict_asks_for_it_once_more_and_then_rests(tmp_path: Path) -> None:
    """The look that an answer writes changes the store, and with it the version that makes pages fetch answers."""
    scores = tuple(0.95 + 0.001 * number for number in range(8))
    study = put_study(tmp_path, {"a": scores[:6], "b": scores[1:7]}, count=7)
    with TestClient(make_app(tmp_path, HOSTS), base_url=URL) as client:
        assert follow(client, tmp_path) == [0, 1]
        assert follow(client, tmp_path) == [1]  # another tab, or the same one opened again
        with open_writer(tmp_path) as writer:
            put_scores(writer, study, {"a": scores[6:7], "b": scores[7:8]}, start=6)
        assert follow(client, tmp_path) == [1, 2]


def follow(client: TestClient, store: Path) -> list[int]:
    """What a page does: it asks for what changed, and for the answer whenever ``finished`` has risen; looks by then."""
    finished, looks = -1, []
    for _ in range(10):
        with open_reader(store) as reader:
            taken = len(reader.study("small").verdict_looks)
        changes = client.get("/api/studies/small?since=0").json()
        if changes["finished"] != finished:
            finished = changes["finished"]
            looks.append(taken)
            assert client.get("/api/studies/small/answer").json()["finished"] == finished
    return looks
