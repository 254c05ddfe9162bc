"""Networks as fixed-point programs for microcontrollers, before they are trained: operations, memory and costs."""

from .arena import Arena as Arena
from .arena import plan as plan
from .codings import CODINGS as CODINGS
from .codings import Coding as Coding
from .cores import CORES as CORES
from .cores import Core as Core
from .cores import core_of as core_of
from .costs import Costs as Costs
from .costs import costs_of as costs_of
from .lowering import SCALING as SCALING
from .lowering import lower as lower
from .operations import IMAGE as IMAGE
from .operations import Add as Add
from .operations import Concatenate as Concatenate
from .operations import Convolve as Convolve
from .operations import Graph as Graph
from .operations import Map as Map
from .operations import Operation as Operation
from .operations import Pad as Pad
from .operations import Pool as Pool
from .operations import Value as Value
