"""`python -m slowmo_pipeline` is `slowmo`."""

import sys

_EXIT_INTERRUPTED = 130
"""As shells report a program that SIGINT ended."""


def main() -> None:
    """Run the command line. What it imports takes half a second, in which Ctrl-C may come as well."""
    try:
        from slowmo_pipeline.cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(_EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
