"""Turns ordinary video into super slow motion."""
