"""Bugs of models, data sets and tensors, and whom they reach."""
