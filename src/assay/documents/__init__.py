"""Documents A to E: reproduces five published notebooks and gives a verdict on each of their claims."""

from .claims import CLAIMS as CLAIMS
from .claims import Claim as Claim
from .claims import ClaimVerdict as ClaimVerdict
from .claims import judge_claims as judge_claims
from .cost import Cost as Cost
from .published import System as System
from .published import chosen as chosen
from .published import published as published
from .reproduction import Reproduction as Reproduction
from .reproduction import reproduce as reproduce
