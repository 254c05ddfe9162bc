"""One function for each picture, from arrays to a Matplotlib figure; ``ax=`` draws single plots on given axes."""

from .corruptions import corruption_sheet as corruption_sheet
from .features import feature_map as feature_map
from .kernels import filters_at_best as filters_at_best
from .kernels import kernel_grid as kernel_grid
from .kernels import strongest_grid as strongest_grid
from .maps import activation_sheet as activation_sheet
from .maps import evidence_panels as evidence_panels
from .maps import sanity_lines as sanity_lines
from .mistakes import PairRow as PairRow
from .mistakes import class_dots as class_dots
from .mistakes import confusion_grid as confusion_grid
from .mistakes import confusion_panels as confusion_panels
from .mistakes import image_gallery as image_gallery
from .mistakes import pair_rows as pair_rows
from .rates import rate_lines as rate_lines
from .style import Theme as Theme
from .trust import agreement_bars as agreement_bars
from .trust import agreement_panels as agreement_panels
from .trust import calibration_curve as calibration_curve
from .trust import rejection_curve as rejection_curve
