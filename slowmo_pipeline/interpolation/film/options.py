"""What kind of FILM network a model's variables are of, told from their order and shapes alone.

Names are no help: another training run numbers and prefixes them differently.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from slowmo_pipeline.errors import ModelError

Shape = tuple[int, ...]

MOST_LEVELS = 8
"""Of a pyramid: with more, a picture's sides would have to be multiples of 256 pixels and more."""


@dataclass(frozen=True)
class FilmOptions:
    """The sizes of a FILM network. Tuples are finest level first."""

    pyramid_levels: int
    """Of images, features and flow. Not visible in the variables: the coarse levels share theirs."""
    fusion_pyramid_levels: int
    """How many of the finest levels are aligned and fused."""
    specialized_levels: int
    """How many of the finest levels have a flow predictor of their own; the coarser ones share one."""
    sub_levels: int
    """Depth of the feature extractor, which runs on every level of the image pyramid."""
    filters: int
    """Of the extractor's first layers; they double with each sub-level."""
    flow_convs: tuple[int, ...]
    """3x3 convolutions of each flow predictor, the shared one last."""
    flow_filters: tuple[int, ...]
    """Filters of those convolutions."""
    fusion_filters: tuple[int, ...]
    """Of the fusion, for each of its levels but the coarsest."""

    @property
    def multiple(self) -> int:
        """What a picture's sides must be divisible by, in pixels."""
        return int(2 ** (self.pyramid_levels - 1))

    def predictor(self, level: int) -> int:
        """The flow predictor of a pyramid level."""
        return min(level, self.specialized_levels)

    def feature_channels(self, level: int) -> int:
        """Channels of the features at a pyramid level."""
        return sum(self.filters << sub_level for sub_level in range(min(level + 1, self.sub_levels)))

    def aligned_channels(self, level: int) -> int:
        """Channels of what is fused at a level: both warped images with their features, and both flows."""
        return 2 * (3 + self.feature_channels(level)) + 4

    def variables(self) -> list[tuple[str, Shape]]:
        """The network's variables in order: what each is, and its shape."""
        return [
            (f"{layer} {part}", shape)
            for layer, kernel in self._kernels()
            for part, shape in (("kernel", kernel), ("bias", kernel[-1:]))
        ]

    def _kernels(self) -> Iterator[tuple[str, Shape]]:
        channels = 3
        for sub_level in range(self.sub_levels):
            filters = self.filters << sub_level
            for layer in range(2):
                yield f"feature convolution {2 * sub_level + layer}", (3, 3, channels, filters)
                channels = filters
        for predictor, (convs, filters) in enumerate(zip(self.flow_convs, self.flow_filters, strict=True)):
            channels = 2 * self.feature_channels(predictor)
            for layer in range(convs):
                yield f"flow predictor {predictor}, convolution {layer}", (3, 3, channels, filters)
                channels = filters
            yield f"flow predictor {predictor}, convolution {convs}", (1, 1, channels, filters // 2)
            yield f"flow predictor {predictor}, convolution {convs + 1}", (1, 1, filters // 2, 2)
        for level, filters in enumerate(self.fusion_filters):
            coarser = level + 1
            last = coarser == self.fusion_pyramid_levels - 1
            channels = self.aligned_channels(coarser) if last else self.fusion_filters[coarser]
            yield f"fusion level {level}, convolution 0", (2, 2, channels, filters)
            yield f"fusion level {level}, convolution 1", (3, 3, self.aligned_channels(level) + filters, filters)
            yield f"fusion level {level}, convolution 2", (3, 3, filters, filters)
        channels = self.fusion_filters[0] if self.fusion_filters else self.aligned_channels(0)
        yield "fusion output", (1, 1, channels, 3)


def options_of(shapes: Sequence[Shape], *, pyramid_levels: int) -> FilmOptions:
    """The options of the network whose variables have these shapes, in this order.

    Raises ModelError, naming the first variable that differs from any such network, when there is none.
    """
    kernels = [shape for shape in shapes if len(shape) == 4]
    # How deep the extractor is shows only in what follows it, so each depth is tried and the best one judged.
    guesses = [_guess(kernels, sub_levels, pyramid_levels) for sub_levels in range(1, MOST_LEVELS + 1)]
    agreeing = [(_agreement(guess, shapes), guess) for guess in guesses if guess is not None]
    if not agreeing:
        raise ModelError(f"{len(shapes)} variables are not those of a FILM network: is this another model?")
    agreement, options = max(agreeing, key=lambda pair: pair[0])
    wanted = options.variables()
    if agreement < max(len(wanted), len(shapes)):
        found = f"has shape {shapes[agreement]}" if agreement < len(shapes) else "is missing"
        expected = "{} of shape {}".format(*wanted[agreement]) if agreement < len(wanted) else "no further variable"
        raise ModelError(f"Variable {agreement} {found}; a FILM network has {expected} there. Is this another model?")
    deepest = max(options.fusion_pyramid_levels, options.specialized_levels + 1, options.sub_levels)
    if pyramid_levels < deepest:
        raise ModelError(f"pyramid_levels = {pyramid_levels}, but these variables need at least {deepest}.")
    return options


def _guess(kernels: Sequence[Shape], sub_levels: int, pyramid_levels: int) -> FilmOptions | None:
    """Read the variables as those of a network with an extractor of this depth; None where that makes no sense."""
    sizes = [kernel[0] for kernel in kernels]
    at = 2 * sub_levels
    flow_convs, flow_filters = [], []
    while at < len(kernels) and sizes[at] == 3:
        convs = next((count for count, size in enumerate(sizes[at:]) if size != 3), None)
        if convs is None:
            return None
        flow_convs.append(convs)
        flow_filters.append(kernels[at][-1])
        at += convs + 2
    # After the flow predictors: three convolutions for each level of the fusion, and its output.
    fusion_filters = tuple(kernel[-1] for kernel in kernels[at:-1:3])
    if not flow_convs:
        return None
    return FilmOptions(
        pyramid_levels=pyramid_levels,
        fusion_pyramid_levels=len(fusion_filters) + 1,
        specialized_levels=len(flow_convs) - 1,
        sub_levels=sub_levels,
        filters=kernels[0][-1],
        flow_convs=tuple(flow_convs),
        flow_filters=tuple(flow_filters),
        fusion_filters=fusion_filters,
    )


def _agreement(options: FilmOptions, shapes: Sequence[Shape]) -> int:
    """How many variables, from the first on, have the shapes that these options want."""
    pairs = zip_longest((shape for _, shape in options.variables()), shapes)
    return next((index for index, (wanted, found) in enumerate(pairs) if wanted != found), len(shapes))
