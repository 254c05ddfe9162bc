"""Searches: Optuna proposes, halving decides, our store remembers."""

from .arm_searches import plans_with_searches as plans_with_searches
from .facts import step_of as step_of
from .halving import WHOLE as WHOLE
from .halving import Rung as Rung
from .halving import num_epochs as num_epochs
from .propose import Tried as Tried
from .propose import try_space as try_space
from .result import Optimism as Optimism
from .result import Outcome as Outcome
from .result import SearchResult as SearchResult
from .result import best_study as best_study
from .result import importances as importances
from .result import result_of_search as result_of_search
from .search_plans import search_plans as search_plans
