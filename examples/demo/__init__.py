"""The demonstration: a family of models that are really trained, stored, shown, and read back."""
