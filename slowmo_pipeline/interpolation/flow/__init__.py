"""The interpolator `flow`: dense optical flow both ways, and frames carried along it. No weights, no GPU."""
