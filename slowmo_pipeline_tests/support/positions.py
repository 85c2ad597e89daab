"""Where all outputs of a time line lie, one after the other."""

from collections.abc import Iterator

from slowmo_pipeline.planning.timeline import Position, TimeLine


def positions(timeline: TimeLine) -> Iterator[Position]:
    """The positions of all output frames, in order."""
    for gap in range(timeline.source.count):
        for output in timeline.outputs_of_gap(gap):
            yield Position(gap, timeline.t(gap, output))
