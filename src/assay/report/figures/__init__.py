"""One function per figure, from records to Plotly. The page's script adds what depends on light or dark."""

from .cost import accuracy_against_bytes as accuracy_against_bytes
from .cost import accuracy_against_energy as accuracy_against_energy
from .cost import accuracy_against_parameters as accuracy_against_parameters
from .cost import accuracy_against_time as accuracy_against_time
from .curves import Measured as Measured
from .curves import Metric as Metric
from .curves import learning_curves as learning_curves
from .curves import published_curves as published_curves
from .data import class_counts as class_counts
from .factors import critical_difference as critical_difference
from .factors import interaction_plot as interaction_plot
from .strips import difference_strip as difference_strip
from .strips import score_strip as score_strip
