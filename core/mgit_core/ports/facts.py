"""Port to the facts about many models at once."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Sequence

from mgit_core.facts import ModelFacts

__all__ = ["Facts"]


class Facts(abc.ABC):
    """What is known of models besides their edges."""

    @abc.abstractmethod
    def of_models(self, uids: Sequence[str]) -> AsyncIterator[list[ModelFacts]]:
        """Facts about the models, in their order, in slices; ``bug_ids`` are left empty.

        It takes a handful of round trips for each ten thousand models. Each model comes once; uids that no model
        has are left out.
        """
