"""The weights of FILM: fetched, held against their hash, and kept under a name."""
