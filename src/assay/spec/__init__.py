"""What to study: frozen specs, read from TOML, with every broken rule named."""

from .augmentation import Augmentation as Augmentation
from .data import Data as Data
from .data import Folds as Folds
from .data import Last as Last
from .files import json_schema as json_schema
from .files import parse_study as parse_study
from .files import read_study as read_study
from .files import study_toml as study_toml
from .fingerprint import fingerprint as fingerprint
from .fingerprint import run_fingerprint as run_fingerprint
from .schedule import Schedule as Schedule
from .seeds import Seeds as Seeds
from .study import Arm as Arm
from .study import ArmTemplate as ArmTemplate
from .study import Network as Network
from .study import Study as Study
from .training import Best as Best
from .training import EarlyStopping as EarlyStopping
from .training import Optimizer as Optimizer
from .training import OptimizerName as OptimizerName
from .training import Training as Training
