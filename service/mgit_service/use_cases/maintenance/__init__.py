"""Work on the store as a whole, under its lease where it changes what is there."""
