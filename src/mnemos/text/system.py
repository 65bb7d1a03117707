"""Systems by name, and Mnemos' own."""

from __future__ import annotations

import difflib

from mnemos import registry
from mnemos.errors import NotFound
from mnemos.text.base import System, SystemMaker
from mnemos.text.consolidate.episodes import Episodes
from mnemos.text.consolidate.orphans import RemoveOrphans
from mnemos.text.consolidate.profiles import Profiles
from mnemos.text.consolidate.reconsider import SecondPass
from mnemos.text.consolidate.similar import SimilarLinks
from mnemos.text.consolidate.summaries import Summaries
from mnemos.text.encode.entries import Entries
from mnemos.text.forget.apply import ApplyPolicy
from mnemos.text.forget.ebbinghaus import Ebbinghaus
from mnemos.text.forget.promotion import Promotion
from mnemos.text.null import NoGate
from mnemos.text.recall.alike import PromoteOwn
from mnemos.text.recall.current import PromoteCurrent
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.known import PromoteFact
from mnemos.text.recall.many import SpreadSessions
from mnemos.text.recall.newest import PromoteNewest
from mnemos.text.recall.roles import PromoteRole
from mnemos.text.update.reconcile import Reconcile

DEFAULT = System(
    encode=Entries(),
    retrieve=Hybrid(),
    rerank=(PromoteCurrent(), PromoteNewest(), PromoteOwn(), PromoteRole(), PromoteFact(), SpreadSessions()),
    update=Reconcile(),
    law=Ebbinghaus(),
    phases=(
        SecondPass(), SimilarLinks(), Episodes(), Summaries(), Profiles(), RemoveOrphans(), Promotion(), ApplyPolicy(),
    ),
    gate=NoGate(),
    select=(),
)  # fmt: skip


def load_system(system: str | System) -> System:
    """Return the system of this name; a `System` is returned as it is. Raises NotFound, with the nearest names."""
    if isinstance(system, System):
        return system
    try:
        maker: SystemMaker = registry.get(system, form="text", kind=SystemMaker).target
    except NotFound as error:
        known = system_names()
        close = difflib.get_close_matches(system.lower(), known, n=3, cutoff=0.4) or known
        raise NotFound(f"there is no system {system!r}: choose from {', '.join(close)}.") from error
    return maker()


def system_names() -> list[str]:
    """Return the names of all systems, sorted. Imports them."""
    return [entry.name for entry in registry.all_entries("text", kind="system")]
