"""A chain of ten versions in which the accuracy fell somewhere: bisected, recorded as a bug, and its heirs shown."""
