"""What chunks are predicted from, found in the lineage; for uploads and for repacks."""
