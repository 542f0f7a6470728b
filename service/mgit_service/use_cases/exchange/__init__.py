"""Models and chunks from one store to another."""
