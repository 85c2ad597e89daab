"""Sources, tracks, warps and time lines for hypothesis, small enough for the slow and obvious way."""

from fractions import Fraction
from itertools import accumulate, pairwise

from hypothesis import strategies as st

from slowmo_pipeline.planning.clock import STANDARD_RATES, FrameTimes, constant_rate
from slowmo_pipeline.planning.timeline import TimeLine
from slowmo_pipeline.planning.track import Track, make_track, plain_track
from slowmo_pipeline.planning.warp import Speed, Warp, even_warp, ramped_warp
from slowmo_pipeline_tests.support.timelines import variable

RATES = st.one_of(
    st.sampled_from(STANDARD_RATES),
    st.fractions(min_value=1, max_value=240, max_denominator=1001),
)
SLOWDOWNS = st.one_of(
    st.integers(1, 12).map(Fraction),
    st.fractions(min_value=1, max_value=20, max_denominator=50),
)
CONSTANT = st.builds(constant_rate, rate=RATES, count=st.integers(1, 15))
MOST_OUTPUTS = 100


@st.composite
def variable_sources(draw: st.DrawFn) -> FrameTimes:
    """Variable ones, of up to 15 frames."""
    time_base = Fraction(1, draw(st.sampled_from((24, 30, 600, 1000, 12288, 90000))))
    longest = max(1, round(Fraction(1, 5) / time_base))
    gaps = draw(st.lists(st.integers(1, longest), max_size=14))
    return variable((0, *accumulate(gaps)), time_base, draw(st.integers(1, longest)))


@st.composite
def holed_sources(draw: st.DrawFn) -> FrameTimes:
    """Exact ones, of which frames are missing."""
    ticks = (0, *accumulate(draw(st.lists(st.integers(1, 4), max_size=14))))
    rate = draw(st.sampled_from(STANDARD_RATES))
    return FrameTimes(ticks, 1 / rate, ticks[-1] + draw(st.integers(1, 3)), 0, 1, rate)


SOURCES = st.one_of(CONSTANT, variable_sources(), holed_sources())


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    """With cuts, stills, jumps and duplicates, or plain ones."""
    times = draw(SOURCES)
    if draw(st.booleans()):
        return plain_track(times)
    gaps = range(len(times.ticks) - 1)
    return make_track(
        times,
        broken=draw(st.dictionaries(st.sampled_from(gaps), st.just("scene cut"), max_size=4)) if gaps else {},
        duplicates=draw(st.sets(st.integers(1, 14), max_size=4)),
        longest_gap=draw(st.fractions(1, 5, max_denominator=4)),
    )


@st.composite
def warps(draw: st.DrawFn, duration: Fraction) -> Warp:
    """Of a source that lasts so long, or of a part: of one speed, of several, or eased."""
    shares = st.fractions(0, 1, max_denominator=60)
    ends = draw(st.sets(shares, min_size=2, max_size=6)) if draw(st.booleans()) else {Fraction(0), Fraction(1)}
    spans = list(pairwise(sorted(share * duration for share in ends)))
    if draw(st.booleans()):
        return even_warp(1 / draw(SLOWDOWNS), spans[0][0], spans[-1][1])
    parts = [Speed(begin, end, 1 / draw(SLOWDOWNS)) for begin, end in spans]
    # Half of the shortest part takes at most half of this from the source, at either end.
    shortest = min(part.end - part.begin for part in parts)
    return ramped_warp(parts, ease=Fraction(draw(st.integers(0, 3)), 3) * shortest)


@st.composite
def timelines(draw: st.DrawFn) -> TimeLine:
    """Any track under any warp, with or without originals: of at most MOST_OUTPUTS."""
    track = draw(tracks())
    warp = draw(warps(track.duration))
    most = MOST_OUTPUTS / warp.duration
    rate = draw(RATES)
    return TimeLine(track, warp, min(rate, Fraction(most)), draw(st.booleans()))
