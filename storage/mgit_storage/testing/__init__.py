"""Conformance suites that every implementation of a port passes, and wrappers that make faults."""
