"""The update cascade: which descendants are made anew, from what, and in which order (paper, section 3)."""
