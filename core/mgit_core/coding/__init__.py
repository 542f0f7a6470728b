"""Encodings of chunks: bytes in, bytes out."""
