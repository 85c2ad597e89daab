"""The numbers that decide what `flow` makes; dB are changes of the mean over the clips of `benchmarks.quality`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FlowParameters:
    """Lengths are in pixels of the half-size luma on which motion is found, brightness in its levels, 0 to 255."""

    margin: float = 1 / 12
    """Repeated edge around the luma, as a part of its longer side. It lets a patch follow what leaves the picture:
    without it the edges of a pan tear. At 1/16 or 1/8 the mean falls by up to 0.1 dB."""

    least_margin: int = 6
    """The margin of tiny frames: it lifts every frame, down to one pixel, above the smallest size DIS accepts."""

    patch_size: int = 8
    """Side of the patches that are matched, as in the presets of DIS: at 12 small objects are lost (-0.05 dB)."""

    patch_stride: int = 5
    """Distance of neighbouring patches. At 4 the search takes half as long again and gains 0.1 dB."""

    descent_steps: int = 25
    """Steps to fit a patch, as in the preset MEDIUM; at 16 the mean falls by 0.03 dB."""

    refinement_steps: int = 0
    """Variational refinement of each level: off, as five steps cost half as much again and gain 0.01 dB."""

    agreement_sigma: float = 1.0
    """By how much there and back again may miss the start: a good flow stays below it, an occlusion lies far above."""

    least_trust: float = 0.3
    """Trust in a motion that is contradicted. Not 0: many such pixels are occluded, but some are only found badly."""

    landing_sigma: float = 1.0
    """How far a carried vector spreads where it lands: vectors land about a pixel apart, and this closes the cracks."""

    coarser_weight: float = 0.01
    """What a coarser level weighs against a level's own vectors: less than a single vector of least trust leaves
    around its landing place, more than the tails of vectors that landed elsewhere."""

    mismatch: float = 4.0
    """Levels of difference between the two frames at which a guess counts e times less: noise stays below it."""

    mismatch_sigma: float = 2.0
    """Width over which the difference is averaged, so that a guess is judged by a surface and not by single pixels."""

    least_match: float = 1e-3
    """What a guess counts at any mismatch: where all of them fail, their mean is the least visible mistake."""


PARAMETERS = FlowParameters()
