"""One thread, as the results are to be; kernels are compiled once a session, in its own folder."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
