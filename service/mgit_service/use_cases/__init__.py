"""What the service does, in terms of core and ports."""
