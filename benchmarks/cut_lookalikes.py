"""Scenes without a cut that look as if they held one, for `benchmarks.cuts`."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.cut_footage import (
    HEIGHT,
    WIDTH,
    Half,
    Image,
    Rng,
    Scene,
    painted_shot,
    real_shot,
    travel,
    with_objects,
    world,
)

LENGTH = 24
MIDDLE = 11


def lookalikes(half: Half, each: int) -> list[Scene]:
    """`each` scenes of every kind."""
    return [
        Scene(kind.__name__, kind(half, np.random.default_rng((half.seed, 99, number, trial))), frozenset())
        for number, kind in enumerate(KINDS)
        for trial in range(each)
    ]


def any_shot(half: Half, rng: Rng, length: int = LENGTH) -> list[Image]:
    longest = [stretch for stretch in half.stretches if stretch[2] - stretch[1] >= length]
    if rng.random() < 0.5:
        return real_shot(rng, longest[rng.integers(len(longest))], length)
    return painted_shot(half, rng, length)


def flash(half: Half, rng: Rng) -> list[Image]:
    """One to three frames, up to nearly white."""
    return _lit(any_shot(half, rng), {MIDDLE + n: rng.uniform(60, 400) for n in range(int(rng.integers(1, 4)))}, rng)


def lightning(half: Half, rng: Rng) -> list[Image]:
    """Several flashes, some only a frame apart, of a scene that was dim."""
    return _lit(
        [frame * 0.5 for frame in any_shot(half, rng)],
        {int(n): rng.uniform(40, 250) for n in rng.integers(3, LENGTH - 3, 5)},
        rng,
    )


def explosion(half: Half, rng: Rng) -> list[Image]:
    """A light at one place that comes at once and goes in ten frames."""
    frames = any_shot(half, rng)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    middle = rng.uniform((0, 0), (WIDTH, HEIGHT))
    distance = np.hypot(columns - middle[0], rows - middle[1]) / rng.uniform(60, 160)
    strength = rng.uniform(200, 500)
    for n in range(MIDDLE, LENGTH):
        light = strength * np.exp(-(distance**2)) * 0.7 ** (n - MIDDLE)
        frames[n] = frames[n] + light[..., np.newaxis].astype(np.float32) * np.array([1, 0.8, 0.5], np.float32)
    return frames


def exposure(half: Half, rng: Rng) -> list[Image]:
    """A camera that adapts within two to six frames."""
    target, steps = np.exp(rng.choice([-1, 1]) * rng.uniform(0.3, 0.8)), int(rng.integers(2, 7))
    gains = np.exp(np.log(target) * np.clip((np.arange(LENGTH) - MIDDLE) / steps, 0, 1))
    return [frame * np.float32(gain) for frame, gain in zip(any_shot(half, rng), gains, strict=True)]


def fade(half: Half, rng: Rng) -> list[Image]:
    """To black and back in six to twelve frames each."""
    steps = int(rng.integers(6, 12))
    shares = np.clip(np.abs(np.arange(LENGTH) - MIDDLE) / steps, 0, 1)
    return [frame * np.float32(share) for frame, share in zip(any_shot(half, rng), shares, strict=True)]


def dissolve(half: Half, rng: Rng) -> list[Image]:
    """From one shot to another in six to twelve frames."""
    steps = int(rng.integers(6, 13))
    shares = np.clip((np.arange(LENGTH) - 5) / steps, 0, 1).astype(np.float32)
    pairs = zip(any_shot(half, rng), painted_shot(half, rng, LENGTH), shares, strict=True)
    return [(1 - share) * before + share * after for before, after, share in pairs]


def pan(half: Half, rng: Rng) -> list[Image]:
    """Up to a tenth of the width a frame."""
    return _panned(half, rng, np.full(LENGTH, rng.uniform(8, 32)))


def whip_pan(half: Half, rng: Rng) -> list[Image]:
    """Up to three tenths of the width a frame, for six frames, with the blur of an open shutter."""
    speeds = np.zeros(LENGTH)
    speeds[MIDDLE - 3 : MIDDLE + 3] = np.array([0.5, 1, 1, 1, 1, 0.5]) * rng.uniform(40, 96)
    return _panned(half, rng, speeds)


def zoom(half: Half, rng: Rng) -> list[Image]:
    """Up to 8 % a frame, inwards or outwards."""
    steps = rng.choice([-1, 1]) * rng.uniform(0.03, 0.08) * np.clip(np.arange(LENGTH) - 4, 0, 14)
    return travel(world(half, rng), rng, np.zeros((LENGTH, 2)), np.exp(steps - steps.mean()))


def large_object(half: Half, rng: Rng) -> list[Image]:
    """Things of half the picture's height that cross it in a few frames."""
    return with_objects(half, any_shot(half, rng), rng, size=0.5, pace=20)


def hole(half: Half, rng: Rng) -> list[Image]:
    """A moving camera, five frames of which are missing."""
    frames = _panned(half, rng, np.full(LENGTH + 5, rng.uniform(3, 10)))
    return frames[:MIDDLE] + frames[MIDDLE + 5 :]


def text(half: Half, rng: Rng) -> list[Image]:
    """Lines of a title that come at once and go at once."""
    frames = any_shot(half, rng)
    colour = rng.choice([0, 255], 3).astype(np.float32)
    letters = np.zeros((HEIGHT, WIDTH), np.uint8)
    for line in range(3):
        cv2.putText(letters, "SLOW MOTION", (10, 60 + 45 * line), 0, 1.3, 255, 4, cv2.LINE_AA)
    share = letters[..., np.newaxis] / np.float32(255)
    shown = range(MIDDLE, MIDDLE + 8)
    return [(1 - share) * f + share * colour if n in shown else f for n, f in enumerate(frames)]


def grain(half: Half, rng: Rng) -> list[Image]:
    """The noise of a high sensitivity."""
    sigma = rng.uniform(8, 25)
    return [frame + np.asarray(rng.normal(0, sigma, frame.shape), np.float32) for frame in any_shot(half, rng)]


KINDS: tuple[Callable[[Half, Rng], list[Image]], ...] = (
    flash,
    lightning,
    explosion,
    exposure,
    fade,
    dissolve,
    pan,
    whip_pan,
    zoom,
    large_object,
    hole,
    text,
    grain,
)


def _lit(frames: Sequence[Image], light: dict[int, float], rng: Rng) -> list[Image]:
    """Brighten frames: what is near is lit more."""
    near = cv2.resize(rng.uniform(0.3, 1, (3, 4)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    share = near[..., np.newaxis]
    return [f + light[n] * share * (0.3 + 0.7 * f / 255) if n in light else f for n, f in enumerate(frames)]


def _panned(half: Half, rng: Rng, speeds: npt.NDArray[np.floating]) -> list[Image]:
    angle = rng.choice([0, np.pi]) + rng.normal(0, 0.2)
    path = np.cumsum(speeds)[:, np.newaxis] * (np.cos(angle), np.sin(angle))
    return travel(world(half, rng), rng, path, np.full(len(speeds), rng.uniform(0.6, 1.2)))
