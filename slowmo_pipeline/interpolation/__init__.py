"""Interpolators: what makes new frames out of two frames."""
