"""What Dagster loads: assets, checks, jobs, sensors and resources, each a thin cover over a step."""
