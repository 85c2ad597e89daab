"""The command line: short verbs in app.py, long ones in a module each, what they share in the others."""
