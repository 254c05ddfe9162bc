"""The bridge as a process: the one that is connected to Ray."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .bridge import Bridge, short
from .cluster import no_cluster

_JOINS = 3  # each that fails takes Ray about 40 seconds


def join(init: Callable[[], Any]) -> None:
    """Connect, again where a client server's process has died as it began.

    The client server forks it while threads of its own are in gRPC, which the new process does not always survive
    (https://github.com/ray-project/ray/issues/63202).
    """
    for left in reversed(range(_JOINS)):
        try:
            init()
            return
        except ConnectionAbortedError:
            if not left:
                raise
            time.sleep(1.0)


def serve(address: str, logs: str) -> None:
    """Serve one study: see the module's first lines."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints: only messages may reach the pipe
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "30")
    os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "30")

    import ray

    where = (os.environ.get("RAY_ADDRESS") or "auto") if address == "ray" else address
    try:
        join(lambda: ray.init(where, log_to_driver=False, namespace="assay", logging_level=logging.WARNING))
    except Exception as error:
        problem = no_cluster(address, f" ({short(error)})")
        pipe.write(json.dumps({"refusal": [problem.what, problem.fix]}) + "\n")
        pipe.flush()
        return
    served = Bridge(pipe, Path(logs) if logs else None)
    about = served.cluster()
    if not about["cores"]:
        served.refuse("the Ray cluster has no machine with a core", "add one: ray start --address=HEAD:6379")
    served.send({"cluster": about})

    def listen() -> None:
        for line in sys.stdin:
            served.inbox.put(("message", json.loads(line)))
        served.leave()
        os._exit(0)  # the study's process is gone; Ray ends what this one had begun

    def watch() -> None:
        while True:
            time.sleep(5.0)
            try:
                ray.nodes()  # where the cluster is gone, Ray ends this process by itself
            except Exception:
                os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    threading.Thread(target=watch, daemon=True).start()
    served.work()
