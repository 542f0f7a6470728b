"""Auditors' questions to the graph."""
