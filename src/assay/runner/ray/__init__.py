"""Runs on a Ray cluster.

The study's process talks, in lines of JSON, to a bridge: a process of its own and the only one with Ray in it, since
Ray ends the process that has lost its cluster. The bridge keeps a queue, and an actor for each slot on the cluster's
machines. The slot hands runs to a worker process beside it, the same as on one machine (``local.LocalExecutor``), and
sends back what it says with the bytes of the files that it writes, or puts these into a folder that all machines reach
(``artifacts.Artifacts``). Only the bridge's machine sees the store.

- ``cluster.py`` and ``executor.py`` are the study's process: the connection, and the executor on it.
- ``process.py`` is the bridge, which ``python -m assay.runner.ray`` starts, ``bridge.py`` what it does, ``jobs.py``
  what it knows of runs and slots, ``joining.py`` how it joins, ``losses.py`` why a slot is gone.
- ``slot.py`` is what runs on the machines.

Only ``process.py``, ``bridge.py`` and ``slot.py`` import Ray, where they use it.
"""

from .cluster import RayCluster as RayCluster
from .cluster import check_address as check_address
from .executor import RayExecutor as RayExecutor
