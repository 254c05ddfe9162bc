"""Whether a network's kernels can be made on this machine."""

from __future__ import annotations

from ...errors import DataError, DiskFull
from ...nets import Summary
from ...seeds import Streams
from ...spec import Training
from ...spec.training import Precision
from .learner import EVALUATION_BATCH
from .network import FusedNetwork


def why_not_compiled(summary: Summary, training: Training, precision: Precision, streams: Streams) -> str | None:
    """Why the kernels that train a network cannot be compiled here; ``None`` if they can, and are in this process now.

    An older or a newer processor, or another version of LLVM, may refuse what no test has seen.

    Raises:
        DiskFull, DataError: They cannot be written, for want of space or otherwise.
    """
    try:
        batch = training.batch_size
        network = FusedNetwork(summary, precision=precision, max_batch=max(batch, EVALUATION_BATCH), streams=streams)
        network.prepare(batch)
    except (DiskFull, DataError, MemoryError):
        raise
    except Exception as error:  # llvmlite's have no class of their own
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None
