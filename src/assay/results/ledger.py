"""A store's ledger: every claim that its looks hold, in order."""

from __future__ import annotations

from pathlib import Path

from ..analysis.ledger import Ledger, Shown, ledger_of, shown_at
from ..analysis.replay import p_values_at
from ..judging import judged_studies
from ..store import DATABASE, VerdictLook, default_folder, open_reader


def ledger(store: str | Path | None = None) -> Ledger:
    """List every claim that a store has made, and which ones stand at a false discovery rate of 5 %.

    The ledger is computed from the recorded looks: those at the studies' verdicts, and those at scores that were judged
    with ``store=``. Reading it is no look.

    Args:
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Returns:
        The :class:`~assay.analysis.ledger.Ledger`.

    Raises:
        NoStore: The folder holds no store.
        StoreError: A look cannot be read, or a newer version of Assay recorded it.
        DataError: Judged scores cannot be read.

    Source: LORD++ of Ramdas et al. (2017), "Online control of the false discovery rate with decaying memory"; conflict
    sets of Zrnic, Ramdas and Jordan (2021), "Asynchronous online testing of multiple hypotheses".

    Example:
        >>> comparison = assay.result("first-verdict").compare()  # a look
        >>> print(assay.ledger())
        1 comparison in 1 study, 1 claim: 1 stands with the false discovery rate at 5 % over all of them.
    """
    folder = Path(store) if store is not None else default_folder()
    events: list[Shown] = []
    judged = list(judged_studies(folder))
    if (folder / DATABASE).exists() or not judged:
        with open_reader(folder) as reader:
            for name in sorted(reader.study_names()):
                looks = reader.verdict_looks(name)
                lacking = [look.number for look in looks if _lacks_p(look)]
                replayed = {}
                if lacking:
                    record = reader.study(name, is_brief=True)
                    replayed = {number: p_values_at(record, number) for number in lacking}
                events += shown_at(name, looks, replayed)
    for record in judged:
        events += shown_at(record.name, record.verdict_looks)
    return ledger_of(events)


def _lacks_p(look: VerdictLook) -> bool:
    """Whether an earlier version recorded a look, which holds no p values."""
    return bool(look.seen.get("contrasts")) and "p" not in look.seen
