"""Which frames of the upload to look for in the result, and at which output each belongs.

outputs    0   1   2   3   4   5   6   7   8        24000/1001 -> 60: a frame every 2.5025 outputs
frames     0         1         2         3          0 is shown as it is, and so is every 400th;
                                                    2 nearly is, 0.005 outputs after the fifth
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from slowmo_pipeline.planning.plan import Plan

SAMPLES = 8
"""Frames of the upload that are looked for, spread over it."""

NEAR = Fraction(1, 4)
"""Outputs. The neighbours of one that is no farther from a frame are three times as far, and look less like it."""


@dataclass(frozen=True)
class Place:
    """Where a frame of the upload belongs in the result."""

    frame: int
    output: int
    distance: Fraction
    """Outputs, 0..NEAR, between that output and the frame's own time; 0 where the frame is shown as it is."""


def sampled_places(plan: Plan) -> list[Place]:
    """Up to SAMPLES places in order, one from each part of the upload.

    Each is that of the frame nearest to the middle of its part that is shown as it is. If none is, it is that of the
    frame that has an output nearest to it, which may be none either.
    """
    count = plan.timeline.track.frames[-1] + 1
    bounds = [count * number // SAMPLES for number in range(SAMPLES + 1)]
    places = (_place_in(plan, range(begin, end)) for begin, end in pairwise(bounds))
    return [place for place in places if place is not None]


def _place_in(plan: Plan, part: range) -> Place | None:
    middle = (part.start + part.stop) // 2
    nearest: Place | None = None
    for frame in sorted(part, key=lambda frame: abs(frame - middle)):
        place = _place_of(plan, frame)
        if place is not None and place.distance == 0:
            return place
        if place is not None and (nearest is None or place.distance < nearest.distance):
            nearest = place
    return nearest


def _place_of(plan: Plan, frame: int) -> Place | None:
    timeline = plan.timeline
    anchors = timeline.track.anchors_of(frame)
    shown = next((output for output, is_new in plan.outputs_of_frame(frame) if not is_new), None)
    if shown is not None:
        return Place(frame, shown, Fraction(0))
    own = timeline.output_at(timeline.track.time(anchors[0])) if anchors else None
    # Where the speed changes nothing lies evenly; and an output that would show the frame itself was moved on.
    if own is None or own.denominator == 1 or abs(round(own) - own) > NEAR:
        return None
    output = round(own)
    # An interval that is repeated shows its first frame all through.
    if not 0 <= output < timeline.output_count or timeline.position(output).interval in timeline.track.repeats:
        return None
    return Place(frame, output, abs(output - own))
