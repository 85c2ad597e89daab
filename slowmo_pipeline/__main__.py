"""`python -m slowmo_pipeline` is `slowmo`."""

from slowmo_pipeline.cli import main

main()
