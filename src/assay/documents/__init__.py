"""Documents A to E: what five notebooks built and reported, and the same questions asked with evidence."""

from .claims import CLAIMS as CLAIMS
from .claims import Claim as Claim
from .claims import Finding as Finding
from .claims import judge as judge
from .cost import Cost as Cost
from .published import System as System
from .published import chosen as chosen
from .published import published as published
from .reproduction import Reproduction as Reproduction
from .reproduction import reproduce as reproduce
