"""Data sets: known by name, verified by content, opened as memory maps, with the test split sealed."""

from .fetch import Progress as Progress
from .fetch import fetch as fetch
from .gallery import class_counts as class_counts
from .gallery import gallery as gallery
from .gallery import png as png
from .idx import idx_sha256 as idx_sha256
from .idx import read_idx as read_idx
from .idx import write_idx as write_idx
from .location import arrays_folder as arrays_folder
from .location import raw_folder as raw_folder
from .prepare import Dataset as Dataset
from .prepare import is_available as is_available
from .prepare import open_published as open_published
from .prepare import open_training as open_training
from .prepare import prepare as prepare
from .registry import Entry as Entry
from .registry import entry as entry
from .registry import known as known
from .splits import split as split
from .types import DatasetInfo as DatasetInfo
from .types import Split as Split
from .types import TestData as TestData
from .types import TrainingData as TrainingData
