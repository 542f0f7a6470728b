"""Two services and what goes between them; a package, so that its fixtures end with it."""
