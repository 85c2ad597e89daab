"""DJL Serving's Python worker, with JSON lines in place of its socket: `python engine.py MODEL_FOLDER`.

As the real one it imports model.py from the model's folder, tells each request that folder, and turns what comes out
of `handle` into an answer: nothing is 204, a MemoryError 507, any other exception 424.
"""

import base64
import importlib
import json
import logging
import sys
from typing import Any

from djl_python import Input, Output  # type: ignore[import-not-found]  # the one beside this file, by PYTHONPATH


def main() -> None:
    """Answer `{"properties": {…}, "body": base64 or null}` by `{"code", "message", "properties", "body"}`."""
    logging.basicConfig(level=logging.INFO)
    model_dir = sys.argv[1]
    sys.path.insert(0, model_dir)
    handle = importlib.import_module("model").handle
    for line in sys.stdin:
        request = json.loads(line)
        properties = {"device_id": "-1", **request["properties"], "model_dir": model_dir}
        content = [] if request["body"] is None else [(None, bytearray(base64.b64decode(request["body"])))]
        output = invoke(handle, Input(properties, content))
        pieces = [bytes(value) for _, value in output.content]
        if output.stream_content is not None:
            # The default formatter makes lines of text; without one, bytes stay what they are.
            assert not pieces
            assert output.stream_output_formatter is None
            pieces = list(output.stream_content)
        answer = {
            "code": output.code,
            "message": output.message,
            "properties": output.properties,
            "body": base64.b64encode(b"".join(pieces)).decode(),
            "largest_piece": max(map(len, pieces), default=0),
        }
        print(json.dumps(answer), flush=True)
        if output.last_act is not None:
            output.last_act()


def invoke(handle: Any, inputs: Input) -> Output:
    """Call the handler as DJL Serving does."""
    try:
        output = handle(inputs)
    except Exception as error:  # as DJL Serving: whatever it is, the worker lives on
        logging.exception("The handler failed.")
        return Output(507, str(error)) if type(error).__name__ == "MemoryError" else Output().error(str(error))
    return Output(204, "No content") if output is None else output


if __name__ == "__main__":
    main()
