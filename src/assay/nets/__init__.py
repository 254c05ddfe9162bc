"""Networks as layer words: their vocabulary, shapes and costs. ``assay.nets.build`` makes them trainable."""

from .effects import same_padding as same_padding
from .effects import shape_text as shape_text
from .layers import BatchNorm as BatchNorm
from .layers import Conv as Conv
from .layers import Dense as Dense
from .layers import Dropout as Dropout
from .layers import Flatten as Flatten
from .layers import Layer as Layer
from .layers import MaxPool as MaxPool
from .shapes import LayerSummary as LayerSummary
from .shapes import Summary as Summary
from .shapes import summarize as summarize
from .vocabulary import VOCABULARY as VOCABULARY
from .vocabulary import Entry as Entry
from .vocabulary import parse as parse
from .vocabulary import word_of as word_of
