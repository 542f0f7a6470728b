"""The wire contract and nothing else: ``.proto`` files and the code generated from them."""
