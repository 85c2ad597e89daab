"""What FILM's convolutions cost, counted from its options: ours, and as the paper draws the network.

A convolution of k taps from a to b channels costs 2·k·a·b operations a pixel of its result; level l of a pyramid has
height·width / 4^l pixels. Warps, pools, resizes and sums are left out: they cost memory traffic, not arithmetic.

    features     at level l + i, for each image level l and sub-level i: a 3x3 to filters·2^i, and one more
    anchor       at each level, once a frame: a 3x3 from F, half of the predictor's first convolution
    flow         at each level, each direction: a 3x3 from F (the other half; drawn: 2F), the further ones, two 1x1
    fusion       at each level: the 2x2 as a 1x1 to four times the filters at the coarser level (drawn: 4 taps at the
                 level itself), a 3x3 from the aligned pyramid and that, a 3x3; at the end a 1x1 to 3 channels

F are the level's feature channels. At 256x448 the published network costs, drawn, 62.5 GFLOP for an image's features,
76 for a direction's flow and 210.5 for the fusion: 488 for a new frame.
"""

from dataclasses import dataclass

from slowmo_pipeline.interpolation.film.options import FilmOptions


@dataclass(frozen=True)
class Cost:
    """GFLOP at one size of picture."""

    frame: float
    """What concerns one frame alone: features, and ours also the anchors."""
    direction: float
    """The flow from one frame to another."""
    fusion: float

    @property
    def render(self) -> float:
        """A new frame, once both of its frames are prepared."""
        return 2 * self.direction + self.fusion

    def new_frame(self, frames_prepared: float) -> float:
        """A new frame for which so many frames were prepared."""
        return frames_prepared * self.frame + self.render


def own_cost(options: FilmOptions, height: int, width: int) -> Cost:
    """Of slowmo_pipeline/interpolation/film/network.py."""
    pixels = height * width
    anchors = _first_halves(options, pixels)
    return Cost(
        frame=_features(options, pixels) + anchors,
        direction=anchors + _further_flow(options, pixels),
        fusion=_fusion(options, pixels, resize_taps=1),
    )


def drawn_cost(options: FilmOptions, height: int, width: int) -> Cost:
    """As the paper draws it."""
    pixels = height * width
    return Cost(
        frame=_features(options, pixels),
        direction=2 * _first_halves(options, pixels) + _further_flow(options, pixels),
        fusion=_fusion(options, pixels, resize_taps=4),
    )


def frames_prepared(new_frames: int) -> float:
    """Frames prepared for each of 1, 3, 7, … new frames a gap: the gap's first, and whatever a later one needs."""
    return (1 + (new_frames - 1) // 2) / new_frames


def _convolution(pixels: float, taps: int, inputs: int, outputs: int) -> float:
    return 2 * pixels * taps * inputs * outputs / 1e9


def _features(options: FilmOptions, pixels: int) -> float:
    total = 0.0
    for level in range(options.pyramid_levels):
        channels = 3
        for sub_level in range(min(options.pyramid_levels - level, options.sub_levels)):
            filters = options.filters << sub_level
            total += _convolution(pixels / 4 ** (level + sub_level), 9, channels + filters, filters)
            channels = filters
    return total


def _first_halves(options: FilmOptions, pixels: int) -> float:
    return sum(
        _convolution(
            pixels / 4**level, 9, options.feature_channels(level), options.flow_filters[options.predictor(level)]
        )
        for level in range(options.pyramid_levels)
    )


def _further_flow(options: FilmOptions, pixels: int) -> float:
    total = 0.0
    for level in range(options.pyramid_levels):
        filters = options.flow_filters[options.predictor(level)]
        further = options.flow_convs[options.predictor(level)] - 1
        total += _convolution(pixels / 4**level, 9 * further, filters, filters)
        total += _convolution(pixels / 4**level, 1, filters + 2, filters // 2)
    return total


def _fusion(options: FilmOptions, pixels: int, *, resize_taps: int) -> float:
    """`resize_taps` are those of the 2x2 convolution for each pixel of its result."""
    channels = options.aligned_channels(options.fusion_pyramid_levels - 1)
    total = 0.0
    for level in reversed(range(options.fusion_pyramid_levels - 1)):
        filters = options.fusion_filters[level]
        total += _convolution(pixels / 4**level, resize_taps, channels, filters)
        total += _convolution(pixels / 4**level, 9, options.aligned_channels(level) + 2 * filters, filters)
        channels = filters
    return total + _convolution(pixels, 1, channels, 3)
