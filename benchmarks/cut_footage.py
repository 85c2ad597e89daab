"""Footage with known cuts for `benchmarks.cuts`: two halves whose clips and families of scenes are disjoint.

A shot is a list of frames: a stretch of a real clip, or a camera that moves over a generated world. Sequences join
shots; scenes without a cut hold what is easily taken for one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import av
import cv2
import cv2.typing
import numpy as np
import numpy.typing as npt

from benchmarks.clips import clip

WIDTH, HEIGHT = 320, 180
WORLD = (1280, 840)

Image: TypeAlias = cv2.typing.MatLike
"""RGB, 0..255, float32, shape (height, width, 3)."""

Rng = np.random.Generator
World = Callable[[Rng, Image], Image]
"""Paints a world of WORLD pixels in the colours of a palette, shape (6, 3)."""


@dataclass(frozen=True)
class Half:
    """What the shots of one half are taken from."""

    name: str
    seed: int
    stretches: tuple[tuple[str, int, int], ...]
    """Shots of real clips: file, first frame, end."""
    worlds: tuple[World, ...]


@dataclass(frozen=True)
class Scene:
    """A sequence of frames, and where its cuts lie."""

    name: str
    frames: list[Image]
    cuts: frozenset[int]
    """Gap n lies between frames n and n + 1."""


def palette(rng: Rng) -> Image:
    """Six colours around a hue of the scene's own: from dark to bright."""
    hue = rng.uniform(0, 180)
    hues = (hue + rng.normal(0, 14, 6)) % 180
    values = np.sort(rng.uniform(35, 240, 6))
    colours = np.stack((hues, rng.uniform(20, 190, 6), values), axis=-1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(colours[np.newaxis], cv2.COLOR_HSV2RGB)[0], np.float32)


def clouds(rng: Rng, colours: Image) -> Image:
    """Noise of several sizes, coloured by its height."""
    height = np.zeros(WORLD[::-1], np.float32)
    for level in range(2, 8):
        grid = rng.random((WORLD[1] * 2**level // 840 + 2, WORLD[0] * 2**level // 840 + 2), np.float32)
        height += cv2.resize(grid, WORLD, interpolation=cv2.INTER_CUBIC) / 1.6**level
    height = (height - height.min()) / (height.max() - height.min()) * (len(colours) - 1.001)
    below = height.astype(np.int32)
    share = (height - below)[..., np.newaxis]
    return np.asarray((1 - share) * colours[below] + share * colours[below + 1], np.float32)


def discs(rng: Rng, colours: Image) -> Image:
    """Discs of many sizes over a gradient."""
    world = _gradient(rng, colours)
    for _ in range(int(rng.integers(40, 160))):
        centre = tuple(int(c) for c in rng.integers(0, WORLD))
        cv2.circle(world, centre, int(rng.integers(8, 90)), _colour(rng, colours), -1, cv2.LINE_AA)
    return world


def tiles(rng: Rng, colours: Image) -> Image:
    """A turned grid of coloured tiles with seams."""
    pitch = int(rng.integers(24, 110))
    grid = colours[rng.integers(0, 6, (2000 // pitch, 2000 // pitch))] + rng.normal(0, 12, (2000 // pitch, 1, 3))
    floor = cv2.resize(grid.astype(np.float32), (2000, 2000), interpolation=cv2.INTER_NEAREST)
    floor[::pitch] = floor[::pitch] * 0.4
    floor[:, ::pitch] = floor[:, ::pitch] * 0.4
    turn = cv2.getRotationMatrix2D((1000, 1000), rng.uniform(0, 90), 1)
    turn[:, 2] = turn[:, 2] - (1000 - WORLD[0] / 2, 1000 - WORLD[1] / 2)
    return cv2.warpAffine(floor, turn, WORLD, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)


def mosaic(rng: Rng, colours: Image) -> Image:
    """Cells around random points, each with a slight gradient."""
    points = rng.uniform(0, WORLD, (int(rng.integers(60, 300)), 2)).astype(np.float32)
    rows, columns = np.mgrid[0 : WORLD[1] : 4, 0 : WORLD[0] : 4].astype(np.float32)
    distance = (columns[..., np.newaxis] - points[:, 0]) ** 2 + (rows[..., np.newaxis] - points[:, 1]) ** 2
    cells = np.argmin(distance, axis=-1)
    shade = 1 - np.sqrt(np.min(distance, axis=-1)) / 300
    world = np.asarray(colours[rng.integers(0, 6, len(points))][cells] * shade[..., np.newaxis], np.float32)
    return cv2.resize(world, WORLD, interpolation=cv2.INTER_LINEAR)


def strokes(rng: Rng, colours: Image) -> Image:
    """Bent lines of a brush over a gradient."""
    world = _gradient(rng, colours)
    for _ in range(int(rng.integers(40, 140))):
        turns = np.cumsum(rng.normal(0, 60, (8, 2)), axis=0) + rng.uniform(0, WORLD)
        cv2.polylines(
            world, [turns.astype(np.int32)], False, _colour(rng, colours), int(rng.integers(2, 26)), cv2.LINE_AA
        )
    return world


def skyline(rng: Rng, colours: Image) -> Image:
    """Houses with windows before a sky."""
    world = _gradient(rng, colours)
    for _ in range(int(rng.integers(30, 60))):
        left, top = int(rng.integers(-60, WORLD[0])), int(rng.integers(60, WORLD[1] - 80))
        width, wall, pane = int(rng.integers(50, 220)), _colour(rng, colours), _colour(rng, colours)
        cv2.rectangle(world, (left, top), (left + width, WORLD[1]), wall, -1)
        step = int(rng.integers(16, 40))
        for x in range(left + 8, left + width - step // 2, step):
            for y in range(top + 10, WORLD[1], step + 6):
                cv2.rectangle(world, (x, y), (x + step // 2, y + step // 2), pane, -1)
    return world


FIRST = Half("first", 1, (("bigbuckbunny.mp4", 0, 132),), (clouds, discs, tiles))
SECOND = Half(
    "second",
    2,
    (
        ("bikes.mp4", 0, 30),
        ("bikes.mp4", 30, 76),
        ("bikes.mp4", 76, 137),
        ("bikes.mp4", 137, 187),
        ("bikes.mp4", 187, 242),
        ("bikes.mp4", 242, 250),
        ("carphone_pristine.mp4", 0, 120),
    ),
    (mosaic, strokes, skyline),
)


def cut_scenes(half: Half, count: int) -> list[Scene]:
    """`count` sequences of four to ten shots, of 1 to 24 frames each; some in like colours throughout."""
    return [_cut_scene(half, np.random.default_rng((half.seed, number))) for number in range(count)]


def _cut_scene(half: Half, rng: Rng) -> Scene:
    colours = palette(rng) if rng.random() < 0.4 else None
    frames: list[Image] = []
    ends = []
    stretch = None
    for _ in range(int(rng.integers(4, 11))):
        length = int(rng.integers(1, 6) if rng.random() < 0.45 else rng.integers(6, 25))
        others = [other for other in half.stretches if other != stretch]
        stretch = others[rng.integers(len(others))] if others and rng.random() < 0.5 else None
        frames += real_shot(rng, stretch, length) if stretch else painted_shot(half, rng, length, colours)
        ends.append(len(frames) - 1)
    return Scene("cuts", frames, frozenset(ends[:-1]))


def painted_shot(half: Half, rng: Rng, length: int, colours: Image | None = None) -> list[Image]:
    """A camera that stands, pans, shakes or zooms over a generated world, with things that move."""
    pace = rng.choice([0, 0, 1, 1, 2, 5])
    steps = rng.normal(0, 1.5 * pace, 2) + rng.normal(0, 0.4 * pace, (length, 2))
    zoom = rng.uniform(0.6, 1.3) * (1 + rng.choice([0, 0, 0.01, -0.01])) ** np.arange(length)
    frames = travel(world(half, rng, colours), rng, np.cumsum(steps, axis=0), zoom)
    return with_objects(half, frames, rng, colours) if rng.random() < 0.6 else frames


def world(half: Half, rng: Rng, colours: Image | None = None) -> Image:
    paint = half.worlds[rng.integers(len(half.worlds))]
    return cv2.GaussianBlur(paint(rng, palette(rng) if colours is None else colours), (0, 0), rng.uniform(0.6, 1.6))


def travel(world: Image, rng: Rng, path: npt.NDArray[np.floating], zoom: npt.NDArray[np.floating]) -> list[Image]:
    """What a camera sees that follows `path`, in pixels of the view, and blurs what moves while its shutter is open."""
    start = np.array(WORLD) / 2 + rng.uniform(-150, 150, 2)
    frames: list[Image] = []
    for number in range(len(path)):
        step = path[number] - path[max(number - 1, 0)]
        samples = int(np.clip(np.hypot(*step) / 4, 1, 16))
        seen = [_view(world, start, path[number] + 0.5 * step * s / samples, zoom[number]) for s in range(samples)]
        frames.append(np.asarray(np.mean(seen, axis=0), np.float32))
    return frames


def _view(world: Image, start: npt.NDArray[np.floating], offset: npt.NDArray[np.floating], zoom: float) -> Image:
    middle = start + offset / zoom
    matrix = np.array([[zoom, 0, WIDTH / 2 - zoom * middle[0]], [0, zoom, HEIGHT / 2 - zoom * middle[1]]])
    return cv2.warpAffine(world, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def with_objects(
    half: Half, frames: list[Image], rng: Rng, colours: Image | None = None, *, size: float = 0.25, pace: float = 5
) -> list[Image]:
    """One to three patches of another world that cross the picture; `size` is the share of its height."""
    out = [frame.copy() for frame in frames]
    for _ in range(int(rng.integers(1, 4))):
        skin = world(half, rng, colours)
        axes = (rng.uniform(0.5, 1, 2) * size * HEIGHT).astype(int)
        speed, place = rng.normal(0, pace, 2), rng.uniform((0, 0), (WIDTH, HEIGHT))
        for number, frame in enumerate(out):
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            at = place + speed * number
            cv2.ellipse(mask, (int(at[0]), int(at[1])), (int(axes[0]), int(axes[1])), 0, 0, 360, 255, -1, cv2.LINE_AA)
            share = mask[..., np.newaxis] / np.float32(255)
            frame += share * (_view(skin, np.array(WORLD) / 2, -speed * number, 1) - frame)
    return out


def real_shot(rng: Rng, stretch: tuple[str, int, int], length: int) -> list[Image]:
    """Frames of a real clip, a window of them, or their mirror image; fewer where the stretch is shorter."""
    name, first, end = stretch
    length = min(length, end - first)
    begin = int(rng.integers(first, end - length + 1))
    frames = _decoded(name)[begin : begin + length]
    height, width = frames[0].shape[:2]
    share = rng.choice([1.0, 0.7, 0.5])
    left, top = (int(rng.uniform(0, side * (1 - share))) for side in (width, height))
    window = (slice(top, top + int(height * share)), slice(left, left + int(width * share)))
    mirror = 1 if rng.random() < 0.5 else -1
    sized = [cv2.resize(f[window][:, ::mirror], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for f in frames]
    return [frame.astype(np.float32) for frame in sized]


@cache
def _decoded(name: str) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(clip(name))) as container:
        stream = container.streams.video[0]
        width = min(480, stream.width)
        height = width * stream.height // stream.width // 2 * 2
        return [
            picture.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray().astype(np.uint8)
            for picture in container.decode(stream)
        ]


def _gradient(rng: Rng, colours: Image) -> Image:
    corners = colours[rng.integers(0, 6, (2, 2))]
    return cv2.resize(corners, WORLD, interpolation=cv2.INTER_LINEAR)


def _colour(rng: Rng, colours: Image) -> Sequence[float]:
    return [float(c) for c in np.clip(colours[rng.integers(len(colours))] + rng.normal(0, 8, 3), 0, 255)]
