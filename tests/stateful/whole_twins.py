"""All rules at once: what comes from elsewhere, what is staged, and what a cascade holds, among everything else."""

from __future__ import annotations

from tests.stateful.cascade_rules import CascadeRules
from tests.stateful.exchange_rules import ExchangeRules
from tests.stateful.lineage_twins import LineageTwins

__all__ = ["WholeTwins"]


class WholeTwins(LineageTwins, ExchangeRules, CascadeRules):
    """The same family under all rules; the invariants hold under each."""
