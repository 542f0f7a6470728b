"""What the auditors' door asks for itself."""

from __future__ import annotations

from typing import LiteralString

__all__ = ["END_QUESTION", "LANGUAGE", "PLAN"]

# The language of every question, whatever a server's default is: planned and run alike. The line
# ends, so that the server tells places in the statement as its author sees them.
LANGUAGE: LiteralString = "CYPHER 5\n"

# What would the server do? Nothing of the statement behind it runs.
PLAN: LiteralString = "EXPLAIN CYPHER 5\n"

# Ends the transaction that carries a mark, as soon as the server looks. No index; the running transactions, a handful.
END_QUESTION: LiteralString = """
SHOW TRANSACTIONS
YIELD transactionId AS id, metaData
WHERE metaData.mgit_audit = $mark
TERMINATE TRANSACTIONS id
YIELD message
RETURN message
"""
