"""The maintenance lease: one node, locked before anything of it is read. Times are the server's, in milliseconds."""

from __future__ import annotations

from typing import LiteralString

__all__ = ["ACQUIRE_LEASE", "LOCK_LEASE", "RELEASE_LEASE", "RENEW_LEASE"]

# Takes the lease if it is free, or if this caller has it from a try whose answer was lost; else says whose it
# is. Index: lease_name.
ACQUIRE_LEASE: LiteralString = """
MERGE (l:Lease {name: 'maintenance'})
ON CREATE SET l.number = 0
SET l.locked = true
WITH l, CASE
  WHEN l.holder IS NULL OR l.holder = $holder THEN 0.0
  ELSE (l.given_at - timestamp()) / 1000.0 + 2 * l.seconds
END AS seconds_left
FOREACH (_ IN CASE WHEN seconds_left <= 0 THEN [1] ELSE [] END |
  SET l.number = CASE WHEN l.holder = $holder THEN l.number ELSE l.number + 1 END,
    l.holder = $holder, l.work = $work, l.seconds = $seconds, l.given_at = timestamp())
RETURN l.holder AS holder, l.number AS number, l.work AS work, seconds_left
"""

# Locks the lease for the rest of the transaction if this holder has it. Index: lease_name.
LOCK_LEASE: LiteralString = """
MATCH (l:Lease {name: 'maintenance'})
SET l.locked = true
WITH l
WHERE l.holder = $holder AND l.number = $number
RETURN l.number AS number
"""

# Lets the seconds of a holder begin anew. Index: lease_name.
RENEW_LEASE: LiteralString = """
MATCH (l:Lease {name: 'maintenance'})
SET l.locked = true
WITH l
WHERE l.holder = $holder AND l.number = $number
SET l.given_at = timestamp()
RETURN l.number AS number
"""

# Gives the lease back, if this holder has it. The number stays. Index: lease_name.
RELEASE_LEASE: LiteralString = """
MATCH (l:Lease {name: 'maintenance'})
SET l.locked = true
WITH l
WHERE l.holder = $holder AND l.number = $number
REMOVE l.holder, l.work, l.seconds, l.given_at
"""
