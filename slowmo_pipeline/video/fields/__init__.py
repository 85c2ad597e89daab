"""Interlaced and telecined sources: which fields show one moment, what frames they make, and when each is shown."""
