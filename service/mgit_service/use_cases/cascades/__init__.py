"""Update cascades: planned, leased in steps, published."""
