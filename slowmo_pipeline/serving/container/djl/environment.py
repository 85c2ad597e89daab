"""What DJL Serving's image is told by its environment: limits that hold before serving.properties is read."""

from slowmo_pipeline.chunks.tar import MAX_TAR_BYTES

DJL_ENVIRONMENT = {
    # The default of 64 MiB answers larger chunks with 413.
    "SERVING_MAX_REQUEST_SIZE": str(MAX_TAR_BYTES),
    # A piece of an answer over the default of 20 MiB closes the connection to the worker, which is started anew.
    "MAX_NETTY_BUFFER_SIZE": str(MAX_TAR_BYTES),
    # The server holds a chunk and a result whole, and ends when the default heap of 1 GiB is full. cuda.fork is set by
    # the image as well: it counts GPUs in a process of its own, so that the server takes no memory of theirs.
    "JAVA_OPTS": "-Xmx4g -XX:+ExitOnOutOfMemoryError -Dai.djl.util.cuda.fork=true",
    # The start script of every image sets the former to 1, that for CPUs both. 0 lets TensorFlow take all cores.
    "TF_NUM_INTRAOP_THREADS": "0",
    "TF_NUM_INTEROP_THREADS": "0",
}
"""The environment of the container, for whoever deploys it."""
