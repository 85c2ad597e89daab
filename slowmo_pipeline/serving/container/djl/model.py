"""What DJL Serving calls: it stands at the root of model.tar.gz, beside the code it imports.

A worker process imports it and calls `handle` for one request after another, the first one empty. Any reply below 300
to that one makes the worker ready; an exception fails it, with the traceback in the endpoint's log.
"""

import io
import logging
import os
from pathlib import Path

from djl_python import Input, Output  # type: ignore[import-not-found]  # it exists in DJL's images only

from slowmo_pipeline.interpolation.base import Interpolator
from slowmo_pipeline.serving.container.model_folder import load_warm
from slowmo_pipeline.serving.container.reply import reply_to
from slowmo_pipeline.serving.gpus import see_only

_WHOLE_BYTES = 1 << 20
"""Of an answer; a larger one is handed over in pieces. Of what comes whole, DJL Serving starts to decode anew with each
64 KiB that arrive: 128 MiB took 25 s that way, 3 s in pieces."""

_loaded: list[Interpolator] = []
"""The worker's model, once it is loaded. DJL Serving knows a module and a function, so it has to live here."""


def handle(inputs: Input) -> Output | None:
    """Load and warm the model for the first request; answer each later one with a result or a failure."""
    if not _loaded:
        properties = inputs.get_properties()
        if not inputs.is_empty():
            raise RuntimeError("A chunk came before the empty request that loads the model.")
        # DJL Serving starts a worker a GPU and tells each which one is its own (-1: the CPU), but lets it see all.
        # To be set before TensorFlow looks.
        if int(properties.get("device_id", -1)) >= 0:
            see_only(int(properties["device_id"]), os.environ, otherwise=properties["device_id"])
        # The working directory is not promised to be the model's folder, and options come with this request only.
        _loaded.append(load_warm(Path(properties["model_dir"]), properties))
        logging.info("Serving %s", _loaded[0].model_id)
        return None
    reply = reply_to(io.BytesIO(inputs.get_as_bytes() or b""), _loaded[0])
    # The message becomes HTTP's reason phrase, which must not have line breaks: the error's name, not its text.
    output = Output(reply.code, reply.error or "OK").add_property("content-type", reply.content_type)
    if len(reply.body) <= _WHOLE_BYTES:
        return output.add(reply.body)
    return output.add_stream_content(reply.pieces(_WHOLE_BYTES), output_formatter=None)
