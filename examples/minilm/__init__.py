"""A family of really trained models, derived on the spot from a small sentence encoder."""
