"""How this program starts another Python of its own."""

import sys

_RUN = "import sys; sys.path = [folder for folder in sys.path if folder]; from {module} import main; main()"


def running(module: str, *arguments: str) -> list[str]:
    """The command that runs `main` of a module, which finds the arguments in `sys.argv[1:]`.

    Not `python -m`, which imports from the working directory: a user's `queue.py` there would stand before everybody's.
    Its option -P against that came with Python 3.11.
    """
    return [sys.executable, "-c", _RUN.format(module=module), *arguments]
