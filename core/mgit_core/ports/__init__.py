"""What the use cases ask of the outside: chunks and documents on one side, the lineage graph on the other."""
