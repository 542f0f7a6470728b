"""The Zarr v3 face of stored parameters: data types, a read-only store, export and import."""
