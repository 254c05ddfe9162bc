"""A local web page over a store: studies as they train, and a playground for their networks."""

from .app import make_app as make_app
from .server import Certificate as Certificate
from .server import serve as serve
