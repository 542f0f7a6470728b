"""Federated rounds: workers train one model on what they have, and their mean is the next one (paper: G3)."""
