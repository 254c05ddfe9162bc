"""Searches: Optuna proposes, halving decides, our store remembers."""

from .facts import standing_of as standing_of
from .propose import Tried as Tried
from .propose import try_space as try_space
from .rounds import search_plans as search_plans
