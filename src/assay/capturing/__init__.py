"""Takes from running Keras code what it builds and trains: live models, optimizers, callbacks and data, as studies."""

from .captured import Captured as Captured
from .files import RunConversion as RunConversion
from .files import convert_by_running as convert_by_running
from .session import Capture as Capture
from .session import capture as capture
from .session import captured as captured
