"""DJL Serving's Python side, as small as a test of model.py allows: it is on no package index."""
