"""`python -m slowmo_pipeline` is `slowmo`."""

from slowmo_pipeline.cli.app import main

main()
