"""The bridge as a process: the one that is connected to Ray."""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ...errors import Problem
from .bridge import Bridge, short
from .cluster import JOIN_SECONDS, no_cluster
from .joining import Patience, join, listens, where_of


def serve(address: str, logs: str) -> None:
    """Serve one study: see the module's first lines."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints: only messages may reach the pipe
    inbox: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    served: list[Bridge] = []

    def listen() -> None:
        for line in sys.stdin:
            inbox.put(("message", json.loads(line)))
        for bridge in served:
            bridge.leave()
        os._exit(0)  # the study's process is gone; Ray ends what this one had begun

    # From the first moment on: the study's process may end while this one imports Ray, or waits for a cluster.
    threading.Thread(target=listen, daemon=True).start()

    def refuse(problem: Problem) -> None:
        pipe.write(json.dumps({"refusal": [problem.what, problem.fix]}) + "\n")
        pipe.flush()
        os._exit(0)

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "30")
    os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", "30")

    import ray

    where = where_of(address)
    patience = Patience(
        lambda: refuse(no_cluster(address, f" ({JOIN_SECONDS:.0f} seconds without an answer)")), JOIN_SECONDS
    )
    try:
        listens(where, patience)
        join(lambda: ray.init(where, log_to_driver=False, namespace="assay", logging_level=logging.WARNING), patience)
    except Exception as error:
        refuse(no_cluster(address, f" ({short(error)})"))
    bridge = Bridge(pipe, Path(logs) if logs else None, inbox)
    served.append(bridge)
    about = bridge.cluster()
    patience.end()
    if not about["cores"]:
        bridge.refuse("the Ray cluster has no machine with a core", "add one: ray start --address=HEAD:6379")
    bridge.send({"cluster": about})

    def watch() -> None:
        while True:
            time.sleep(5.0)
            try:
                ray.nodes()  # where the cluster is gone, Ray ends this process by itself
            except Exception:
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    bridge.work()
