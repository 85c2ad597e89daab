"""The gallery of `slowmo up`: all videos on a page, read only, at an origin of its own.

Not Dagster's: a script in a page that is served there would pass the checks of its guard.
"""
