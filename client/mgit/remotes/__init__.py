"""Models to and from other services: this client opens both sides, and only what one lacks travels."""

from mgit.remotes.book import Remotes
from mgit.remotes.calls import ExchangeCalls
from mgit.remotes.values import Remote, Transfer, TransferredModel

__all__ = ["ExchangeCalls", "Remote", "Remotes", "Transfer", "TransferredModel"]
