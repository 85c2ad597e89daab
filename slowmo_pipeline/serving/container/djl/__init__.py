"""The files that DJL Serving expects at the root of model.tar.gz, besides weights and code."""
