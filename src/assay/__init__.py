"""Assay: which choice makes this network better, and can I trust the answer?"""

from .api import Result as Result
from .api import Run as Run
from .api import arrays as arrays
from .api import describe as describe
from .api import find as find
from .api import load as load
from .api import remarks as remarks
from .api import result as result
from .api import run as run
from .api import shipped as shipped
from .api import studies as studies
from .api import torch_dataset as torch_dataset
from .documents import Reproduction as Reproduction
from .documents import reproduce as reproduce
from .spec import Arm as Arm
from .spec import ArmTemplate as ArmTemplate
from .spec import Data as Data
from .spec import Network as Network
from .spec import Optimizer as Optimizer
from .spec import Parallel as Parallel
from .spec import Repeat as Repeat
from .spec import Residual as Residual
from .spec import Search as Search
from .spec import Seeds as Seeds
from .spec import Study as Study
from .spec import Training as Training
