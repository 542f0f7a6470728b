"""Where models come from and go to: files, folders and arrays of other tools."""
