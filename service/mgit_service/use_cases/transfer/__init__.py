"""Models on their way in, from draft to commit, and their bytes on the way out."""
