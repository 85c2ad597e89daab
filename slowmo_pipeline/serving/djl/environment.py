"""What DJL Serving's image is told by its environment: limits that hold before serving.properties is read."""

from slowmo_pipeline.tarstream import MAX_TAR_BYTES

DJL_ENVIRONMENT = {
    # The default of 64 MiB answers larger chunks with 413.
    "SERVING_MAX_REQUEST_SIZE": str(MAX_TAR_BYTES),
    # The server holds a chunk and a result whole, and ends when the default heap of 1 GiB is full.
    "JAVA_OPTS": "-Xmx4g -XX:+ExitOnOutOfMemoryError",
}
"""The environment of the container, for whoever deploys it."""
