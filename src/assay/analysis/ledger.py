"""Every claim of a store in the order in which they were made, and which stand at 5 % of false discoveries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ..numerals import counted
from ..stats import DECIDED, MIN_PAIRS
from ..stats.look import FLIP_ROOM
from ..stats.online import METHOD, RATE, next_level
from ..stats.paired import MAX_ENUMERATED
from ..stats.sequential import AT_PLAN
from ..store.records import VerdictLook

if TYPE_CHECKING:
    import pandas as pd

Standing = Literal["stands", "does not stand", "withdrawn", "no claim"]


@dataclass(frozen=True)
class Shown:
    """One contrast at one look at a study's verdicts.

    Args:
        time: Of the look, in seconds since 1970.
        study: The study's name.
        look: The look's number.
        key: What identifies the contrast within its study (``key_of``).
        label: What was compared, such as "wide against narrow".
        outcome: The verdict.
        p: What it rests on, over all looks so far; ``None`` where that is not known any more.
        arms: What identifies the results of the look's arms, across studies (``arm_ids``).
    """

    time: float
    study: str
    look: int
    key: str
    label: str
    outcome: str
    p: float | None
    arms: frozenset[str]


@dataclass(frozen=True)
class Entry:
    """One comparison of a store, as a test in the sequence of all comparisons.

    Args:
        number: Its place in the order of first judgement, from 1.
        study: The study's name.
        label: What is compared, such as ``"wide against narrow"``.
        outcome: The latest verdict; for a withdrawn claim, what was claimed.
        standing: ``"stands"``, ``"does not stand"``, ``"withdrawn"`` or ``"no claim"``.
        level: The p value that it needs, fixed when it was first judged.
        p: The p value of its claim over all looks; without a claim, the latest one.
        begun: When it was first judged, in seconds since 1970.
        claimed: When it was first claimed; ``None`` if it was not.
        look: The look of its study that first claimed it; 0 if none did.
    """

    number: int
    study: str
    label: str
    outcome: str
    standing: Standing
    level: float
    p: float | None
    begun: float
    claimed: float | None = None
    look: int = 0

    @property
    def is_claim(self) -> bool:
        """Whether it is a claim, standing or not."""
        return self.standing != "no claim"


@dataclass(frozen=True)
class Ledger:
    """All comparisons that a store has judged, and the claims among them. :func:`assay.ledger` returns it.

    Args:
        entries: The comparisons, in the order of first judgement.
        rate: The controlled false discovery rate.
        method: The method's name.
        stood: For each claim that came to stand, how many comparisons had been judged by then.
    """

    entries: tuple[Entry, ...]
    rate: float = RATE
    method: str = METHOD
    stood: tuple[int, ...] = ()

    @property
    def claims(self) -> tuple[Entry, ...]:
        """The claims, in the order in which they were first made."""
        made = [entry for entry in self.entries if entry.claimed is not None]
        return tuple(sorted(made, key=lambda entry: (entry.claimed or 0.0, entry.number)))

    @property
    def headline(self) -> str:
        """How many claims there are and how many stand, without a full stop."""
        if not self.entries:
            return "No verdict has been shown yet, so there is no claim"
        studies = len({entry.study for entry in self.entries})
        judged = f"{counted(len(self.entries), 'comparison')} in {counted(studies, 'study', 'studies')}"
        claims = self.claims
        if not claims:
            return f"{judged}, and no claim"
        stand = sum(claim.standing == "stands" for claim in claims)
        return (
            f"{judged}, {counted(len(claims), 'claim')}: {stand:,} {'stands' if stand == 1 else 'stand'} with the "
            f"false discovery rate at {100 * self.rate:.0f} % over all of them"
        )

    def frame(self) -> pd.DataFrame:
        """Return one row for each comparison, with the fields of :class:`Entry`."""
        import pandas as pd

        return pd.DataFrame([asdict(entry) for entry in self.entries], columns=[*Entry.__dataclass_fields__])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        claims = self.claims
        return {
            "rate": self.rate,
            "method": self.method,
            "comparisons": len(self.entries),
            "claims_made": len(claims),
            "claims_that_stand": sum(claim.standing == "stands" for claim in claims),
            "next_level": self.next_level,
            "next_seeds": self.next_seeds,
            "claims": [{**asdict(claim), "stands": claim.standing == "stands"} for claim in claims],
            "entries": [asdict(entry) for entry in self.entries],
        }

    @property
    def next_level(self) -> float:
        """The p value that the first comparison of a new study with arms of its own would need now."""
        return next_level(len(self.entries) + 1, self.stood, rate=self.rate)

    @property
    def next_seeds(self) -> int:
        """The fewest seeds with which a new study's planned look can reach that p value.

        With n pairs the smallest p value of the sign-flip test is 2 / 2^n.
        """
        seeds = MIN_PAIRS
        while 2 / 2**seeds / FLIP_ROOM / AT_PLAN > self.next_level and seeds < MAX_ENUMERATED:
            seeds += 1
        return seeds

    def __str__(self) -> str:
        return f"{self.headline}."


def shown_at(
    study: str, looks: Iterable[VerdictLook], replayed: Mapping[int, Mapping[str, float]] | None = None
) -> list[Shown]:
    """What each look at a study showed, without contrasts that had too few seeds for a verdict.

    Args:
        study: The study's name.
        looks: Its looks.
        replayed: By look's number and contrast's key, the p of looks that do not hold it.
    """
    events = []
    for look in looks:
        ps: Mapping[str, Any] = look.seen.get("p") or (replayed or {}).get(look.number, {})
        arms = frozenset(str(arm["id"]) for arm in look.seen["arms"].values())
        for key, (outcome, label) in look.seen["contrasts"].items():
            if outcome != "too few seeds":
                p = ps.get(key)
                events.append(Shown(look.time, study, look.number, key, label, outcome, p, arms))
    return events


def ledger_of(events: Iterable[Shown], *, rate: float = RATE) -> Ledger:
    """The ledger of everything that was shown, replayed in order of time.

    A comparison's level is fixed when it is first judged, by claims of other studies that stood before. Claims of its
    own study, and of studies that share an arm's runs with it, do not raise it: their outcomes depend on each other (a
    conflict set). Its claim stands from the first look on at which it is claimed with a p over all looks of at most
    that level.

    Args:
        events: What looks showed, in any order.
        rate: Of false discoveries.
    """
    ordered = sorted(events, key=lambda one: (one.time, one.study, one.look))
    open_: dict[tuple[str, str], _Test] = {}
    arms_of: dict[str, frozenset[str]] = {}  # by study, those that its looks have seen so far
    for one in ordered:
        arms_of[one.study] = arms_of.get(one.study, frozenset()) | one.arms
        test = open_.get((one.study, one.key))
        if test is None:
            number = len(open_) + 1
            before = [
                other.stood
                for other in open_.values()
                if other.stood and other.study != one.study and not (arms_of[other.study] & one.arms)
            ]
            test = _Test(number, one.study, next_level(number, before, rate=rate), one.time)
            open_[one.study, one.key] = test
        test.show(one, num_begun=len(open_))
    entries = tuple(test.entry() for test in open_.values())
    return Ledger(entries, rate, METHOD, tuple(test.stood for test in open_.values() if test.stood))


@dataclass
class _Test:
    """A comparison while the sequence is replayed.

    ``stood``: how many tests had begun when its claim came to stand; 0 before that.
    """

    number: int
    study: str
    level: float
    begun: float
    stood: int = 0
    first: Shown | None = None
    last_claim: Shown | None = None
    last: Shown | None = None
    p: float | None = None

    def show(self, one: Shown, *, num_begun: int) -> None:
        self.last = one
        if one.outcome not in DECIDED:
            self.p = self.p if self.first is not None else one.p
            return
        self.p = one.p if self.first is None or self.p is None else min(self.p, 1.0 if one.p is None else one.p)
        self.first = self.first or one
        self.last_claim = one
        if not self.stood and one.p is not None and one.p <= self.level:
            self.stood = num_begun

    def entry(self) -> Entry:
        assert self.last is not None
        claim = self.last_claim
        if claim is None:
            return Entry(
                self.number, self.study, self.last.label, self.last.outcome, "no claim", self.level, self.p, self.begun
            )
        is_made = self.last.outcome in DECIDED
        standing: Standing = "withdrawn" if not is_made else "stands" if self.stood else "does not stand"
        first = self.first or claim
        entry = Entry(self.number, self.study, claim.label, claim.outcome, standing, self.level, self.p, self.begun)
        return replace(entry, claimed=first.time, look=first.look)
