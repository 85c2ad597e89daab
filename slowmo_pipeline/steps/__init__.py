"""The verbs of the pipeline, free of Dagster."""
