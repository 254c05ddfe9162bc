"""One record for each layer word: its arguments, what it learns and costs, what Keras calls it, what to cite."""

from .activations import Activate as Activate
from .convolutions import Conv as Conv
from .convolutions import Depthwise as Depthwise
from .convolutions import Separable as Separable
from .dense import Dense as Dense
from .dropouts import Dropout as Dropout
from .dropouts import SpatialDropout as SpatialDropout
from .forms import Flatten as Flatten
from .forms import Reshape as Reshape
from .forms import ZeroPad as ZeroPad
from .joins import Add as Add
from .joins import Concatenate as Concatenate
from .norms import BatchNorm as BatchNorm
from .norms import GroupNorm as GroupNorm
from .norms import InstanceNorm as InstanceNorm
from .norms import LayerNorm as LayerNorm
from .pools import AvgPool as AvgPool
from .pools import GlobalAvgPool as GlobalAvgPool
from .pools import GlobalMaxPool as GlobalMaxPool
from .pools import MaxPool as MaxPool
from .record import Citation as Citation
from .record import Join as Join
from .record import Layer as Layer
from .registry import CITATIONS as CITATIONS
from .registry import KERAS as KERAS
from .registry import WORDS as WORDS
