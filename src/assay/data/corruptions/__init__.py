"""Corruptions of images, in five severities: what a camera, a scanner or a hand may do to what a network learned from.

Our own functions, after the definitions of Hendrycks and Dietterich (2019), "Benchmarking neural network robustness to
common corruptions and perturbations", ICLR, and Mu and Gilmer (2019), "MNIST-C: a robustness benchmark for computer
vision", ICML workshop.
"""

from .ground import Ground as Ground
from .ground import ground_of as ground_of
from .suite import CORRUPTIONS as CORRUPTIONS
from .suite import GROUPS as GROUPS
from .suite import SEVERITIES as SEVERITIES
from .suite import VERSION as VERSION
from .suite import Corruption as Corruption
from .suite import bearable as bearable
from .suite import chosen as chosen
from .suite import corrupted as corrupted
