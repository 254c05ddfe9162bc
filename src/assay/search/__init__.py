"""Searches: Optuna proposes, halving decides, our store remembers."""

from .facts import standing_of as standing_of
from .findings import Found as Found
from .findings import Optimism as Optimism
from .findings import Outcome as Outcome
from .findings import best_study as best_study
from .findings import found_in as found_in
from .findings import importances as importances
from .halving import WHOLE as WHOLE
from .halving import Rung as Rung
from .halving import num_epochs as num_epochs
from .propose import Tried as Tried
from .propose import try_space as try_space
from .search_plans import search_plans as search_plans
