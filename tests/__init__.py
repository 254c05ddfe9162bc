"""The tests run side by side, one process a core: a library's second thread would only wait for a core.

Set here, before NumPy and PyTorch are imported, which read it once. Tests that are about threads say how many.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
