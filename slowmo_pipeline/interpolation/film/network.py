"""FILM's network, built from its weights: it honours t, and computes nothing twice.

It differs from the paper's drawing only where the arithmetic allows, so that results are equal up to rounding:
- what concerns one frame alone is made once and serves each pair the frame is part of: its features, and their half of
  the flow predictors' first convolution, which is linear and so splits along its input channels;
- a 2x2 convolution after a nearest-neighbour resize is a 1x1 convolution on the coarse grid with four times the
  filters, one for each tap, shifted and added up: one product for each fine pixel instead of four.

All tensors are NHWC; tuples are finest level first; flow channels are (dx, dy) in pixels of their level.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from slowmo_pipeline.interpolation.film.devices import Precision, computing
from slowmo_pipeline.interpolation.film.options import FilmOptions
from slowmo_pipeline.interpolation.film.saved_model import Weights

_SLOPE = 0.2
"""Of the leaky ReLU."""


class Prepared(NamedTuple):
    """What one frame contributes to any pair it is part of; for each pyramid level."""

    images: tuple[tf.Tensor, ...]
    features: tuple[tf.Tensor, ...]
    anchors: tuple[tf.Tensor, ...]
    """The features through their half of the flow predictor's first convolution, as the frame that is not warped."""


class _Conv(NamedTuple):
    kernel: tf.Tensor
    bias: tf.Tensor

    def linear(self, values: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(_convolved(values, self.kernel), self.bias)

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        return tf.nn.leaky_relu(self.linear(values), _SLOPE)


class _Predictor(NamedTuple):
    """A flow predictor, its first convolution split into halves for the two frames."""

    anchor: tf.Tensor
    """Kernel for the frame that is not warped."""
    warped: _Conv
    hidden: tuple[_Conv, ...]
    output: _Conv

    def residual(self, anchor: tf.Tensor, warped: tf.Tensor) -> tf.Tensor:
        values = tf.nn.leaky_relu(self.warped.linear(warped) + anchor, _SLOPE)
        for conv in self.hidden:
            values = conv(values)
        return tf.cast(self.output.linear(values), tf.float32)


class _Fusion(NamedTuple):
    """One level of the fusion."""

    resize: _Conv
    """The 2x2 kernel as a 1x1 kernel, its four taps side by side."""
    merge: _Conv
    refine: _Conv

    def __call__(self, coarse: tf.Tensor, aligned: tf.Tensor) -> tf.Tensor:
        return self.refine(self.merge(tf.concat([aligned, self._resized(coarse)], axis=-1)))

    def _resized(self, coarse: tf.Tensor) -> tf.Tensor:
        """To twice the size by nearest neighbour, then the 2x2 convolution.

        At a fine pixel of even row and column all four taps see the same coarse pixel; at an odd one the right or the
        lower taps see the next. Beyond the last they see zeros: TensorFlow pads "SAME" of an even kernel at the end.
        """
        here, right, below, across = tf.split(_convolved(coarse, self.resize.kernel), 4, axis=-1)
        even_even = here + right + below + across
        even_odd = here + below + _next(right + across, axis=2)
        odd_even = here + right + _next(below + across, axis=1)
        odd_odd = here + _next(right, axis=2) + _next(below + _next(across, axis=2), axis=1)
        phases = tf.concat([even_even, even_odd, odd_even, odd_odd], axis=-1)
        return tf.nn.bias_add(tf.nn.depth_to_space(phases, 2), self.resize.bias)


class FilmNetwork:
    """The network with its weights, on one device."""

    def __init__(
        self, options: FilmOptions, weights: Weights, *, precision: Precision = "float32", device: str = "CPU:0"
    ) -> None:
        """`device` is one of TensorFlow's, such as `GPU:0`; weights are kept there, and all is computed there."""
        self.options = options
        self.precision = precision
        self.device = device
        self._dtype = tf.float16 if precision == "float16" else tf.float32
        with computing(device, precision):
            self._build(weights)

    def prepare(self, image: tf.Tensor | npt.NDArray[np.float32]) -> Prepared:
        """What a frame contributes to its pairs.

        `image` is float32 (batch, height, width, 3) in [0, 1]; height and width are multiples of `options.multiple`.
        """
        with computing(self.device, self.precision):
            prepared: Prepared = self._prepare_graph(tf.convert_to_tensor(image, tf.float32))
        return prepared

    def render(self, before: Prepared, after: Prepared, t: float) -> tf.Tensor:
        """The image at time t, 0 < t < 1: float32 (batch, height, width, 3), not clipped."""
        with computing(self.device, self.precision):
            return self._render_graph(before, after, tf.constant(t, tf.float32))

    def _build(self, weights: Weights) -> None:
        # Made here, the graphs capture them. Made while a graph is traced they would become part of it, and each pass
        # over the graph would copy them: 2 GB and a quarter of a minute for the published weights.
        tensors = (tf.constant(weight, self._dtype) for weight in weights)
        convs = (_Conv(kernel, bias) for kernel, bias in zip(tensors, tensors, strict=True))
        self._extractor = tuple(islice(convs, 2 * self.options.sub_levels))
        self._predictors = tuple(_predictor(convs, count) for count in self.options.flow_convs)
        self._fusion = tuple(_fusion(convs) for _ in self.options.fusion_filters)
        (self._output,) = convs
        # One graph for all sizes: it takes seconds to build, and a server meets many.
        image, prepared, t = self._picture(3, tf.float32), self._prepared(), tf.TensorSpec([], tf.float32)
        self._prepare_graph = tf.function(self._prepare, input_signature=[image], autograph=False)
        self._render_graph = tf.function(self._render, input_signature=[prepared, prepared, t], autograph=False)

    def _picture(self, channels: int, dtype: tf.DType) -> tf.TensorSpec:
        return tf.TensorSpec([None, None, None, channels], dtype)

    def _prepared(self) -> Prepared:
        """The types of what `prepare` makes."""
        levels = range(self.options.pyramid_levels)
        predictors = [self.options.predictor(level) for level in levels]
        return Prepared(
            images=tuple(self._picture(3, tf.float32) for _ in levels),
            features=tuple(self._picture(self.options.feature_channels(level), self._dtype) for level in levels),
            anchors=tuple(self._picture(self.options.flow_filters[each], self._dtype) for each in predictors),
        )

    def _prepare(self, image: tf.Tensor) -> Prepared:
        images = [image]
        while len(images) < self.options.pyramid_levels:
            images.append(_halved(images[-1]))
        extracted = [self._extracted(each, len(images) - level) for level, each in enumerate(images)]
        features = [
            tf.concat([extracted[level - sub][sub] for sub in range(min(level + 1, self.options.sub_levels))], axis=-1)
            for level in range(len(images))
        ]
        anchors = [
            _convolved(each, self._predictors[self.options.predictor(level)].anchor)
            for level, each in enumerate(features)
        ]
        return Prepared(tuple(images), tuple(features), tuple(anchors))

    def _extracted(self, image: tf.Tensor, levels: int) -> list[tf.Tensor]:
        """What the extractor makes of one image of the pyramid, for at most that many of its sub-levels."""
        values = tf.cast(image, self._dtype)
        found: list[tf.Tensor] = []
        for first, second in list(zip(self._extractor[::2], self._extractor[1::2], strict=True))[:levels]:
            values = second(first(_halved(values) if found else values))
            found.append(values)
        return found

    def _render(self, before: Prepared, after: Prepared, t: tf.Tensor) -> tf.Tensor:
        forward, backward = self._flows(before, after), self._flows(after, before)
        fused: tf.Tensor = None
        for level in reversed(range(self.options.fusion_pyramid_levels)):
            to_before, to_after = backward[level] * t, forward[level] * (1 - t)
            aligned = tf.concat(
                [
                    *self._aligned(before, level, to_before),
                    *self._aligned(after, level, to_after),
                    tf.cast(to_before, self._dtype),
                    tf.cast(to_after, self._dtype),
                ],
                axis=-1,
            )
            fused = aligned if fused is None else self._fusion[level](fused, aligned)
        return tf.cast(self._output.linear(fused), tf.float32)

    def _aligned(self, frame: Prepared, level: int, flow: tf.Tensor) -> list[tf.Tensor]:
        look_up = _Warp(flow)
        return [tf.cast(look_up(frame.images[level]), self._dtype), look_up(frame.features[level])]

    def _flows(self, start: Prepared, end: Prepared) -> list[tf.Tensor]:
        """Where each pixel of `start` lies in `end`, for each level."""
        flows: list[tf.Tensor] = []
        for level in reversed(range(self.options.pyramid_levels)):
            predictor = self._predictors[self.options.predictor(level)]
            features = end.features[level]
            if flows:
                upsampled = tf.image.resize(2 * flows[0], tf.shape(features)[1:3])
                residual = predictor.residual(start.anchors[level], _Warp(upsampled)(features))
                flows.insert(0, residual + upsampled)
            else:
                flows.insert(0, predictor.residual(start.anchors[level], features))
        return flows


class _Warp:
    """Backward bilinear lookup: `values[y + dy, x + dx]` at each pixel. Beyond the border, the border repeats."""

    def __init__(self, flow: tf.Tensor) -> None:
        batch, height, width, _ = tf.unstack(tf.shape(flow))
        row, self._down = _corner(tf.range(height)[:, None], flow[..., 1], height)
        column, self._along = _corner(tf.range(width), flow[..., 0], width)
        self._corner = (tf.range(batch)[:, None, None] * height + row) * width + column
        # The neighbour of a single row or column is itself.
        self._step_down, self._step_along = tf.minimum(height - 1, 1) * width, tf.minimum(width - 1, 1)

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(values, [-1, values.shape[-1]])
        down, along = tf.cast(self._down, values.dtype), tf.cast(self._along, values.dtype)

        def row(corner: tf.Tensor) -> tf.Tensor:
            left, right = tf.gather(flat, corner), tf.gather(flat, corner + self._step_along)
            return left + along * (right - left)

        upper, lower = row(self._corner), row(self._corner + self._step_down)
        return upper + down * (lower - upper)


def _corner(place: tf.Tensor, shift: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Along one axis: the index of the lower neighbour of `place + shift`, and the share of the upper one."""
    where = tf.cast(place, tf.float32) + shift
    lower = tf.clip_by_value(tf.floor(where), 0.0, tf.cast(tf.maximum(size - 2, 0), tf.float32))
    return tf.cast(lower, tf.int32), tf.clip_by_value(where - lower, 0.0, 1.0)[..., None]


def _predictor(convs: Iterator[_Conv], count: int) -> _Predictor:
    first, *hidden = islice(convs, count + 1)
    (output,) = islice(convs, 1)
    anchor, warped = tf.split(first.kernel, 2, axis=2)
    return _Predictor(anchor, _Conv(warped, first.bias), tuple(hidden), output)


def _fusion(convs: Iterator[_Conv]) -> _Fusion:
    resize, merge, refine = islice(convs, 3)
    taps = tf.concat([resize.kernel[y, x] for y in (0, 1) for x in (0, 1)], axis=-1)
    return _Fusion(_Conv(taps[None, None], resize.bias), merge, refine)


def _convolved(values: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(values, kernel, strides=1, padding="SAME")


def _halved(values: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(values, ksize=2, strides=2, padding="VALID")


def _next(values: tf.Tensor, *, axis: int) -> tf.Tensor:
    """Each pixel's successor along the axis; zeros after the last."""
    padding = [[0, 0] for _ in range(4)]
    padding[axis][1] = 1
    return tf.pad(values[:, 1:] if axis == 1 else values[:, :, 1:], padding)
