"""The Zarr face: parameters as Zarr v3 arrays, over any reader of chunks.

Importing this package makes bfloat16 and the 8-bit floats known to zarr-python.
"""

from mgit_zarr.dtypes import register_dtypes
from mgit_zarr.export import export_group, new_group_folder, write_chunk_file
from mgit_zarr.layout import ChunkFile, chunk_files, metadata_files
from mgit_zarr.names import NAME_ATTRIBUTE, POSITION_ATTRIBUTE, name_of_key, zarr_key
from mgit_zarr.store import ManifestStore, open_group

__all__ = [
    "NAME_ATTRIBUTE",
    "POSITION_ATTRIBUTE",
    "ChunkFile",
    "ManifestStore",
    "chunk_files",
    "export_group",
    "metadata_files",
    "name_of_key",
    "new_group_folder",
    "open_group",
    "register_dtypes",
    "write_chunk_file",
    "zarr_key",
]

# zarr-python 3.1.6 collects the entry points of data types, but never loads them. Whoever imports this package
# wants to read such arrays, and the registration only adds names that zarr-python lacks.
register_dtypes()
