"""Collection: what no present model needs is taken away."""
