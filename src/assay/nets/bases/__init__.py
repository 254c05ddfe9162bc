"""Pretrained networks in our own layer words, and their weights' files."""

from .blueprint import DEFINITIONS as DEFINITIONS
from .blueprint import Blueprint as Blueprint
from .blueprint import blueprint_of as blueprint_of
from .blueprint import coding as coding
from .blueprint import definition_of as definition_of
from .blueprint import layout_of as layout_of
from .definition import Definition as Definition
from .definition import Layout as Layout
