"""Model tests and their results: what a service is asked of them. Nothing here runs a test."""
