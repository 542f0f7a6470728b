"""The wire contract on one side, use cases on the other."""
