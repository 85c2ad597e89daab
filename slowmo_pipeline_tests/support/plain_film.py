"""FILM written as plainly as its paper draws it: slow, without a trick, and sharing no code with the package.

Reda et al., "FILM: Frame Interpolation for Large Motion", ECCV 2022, arXiv 2202.04901. Tensors are (B, H, W, C);
lists of levels begin with the finest.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

Tensor = Any
"""tf.Tensor, which has no type information."""
Layer = tuple[Any, Any]
"""Kernel and bias."""

_LEAKY = 0.2
_PIXELS_OF_MOTION = 1.5
"""Root mean square of what each level's predictor adds to the motion, in pixels of the finest level."""
_CONTRAST = 0.12
"""Standard deviation of what random weights render, around 0.5."""


class PlainFilm:
    """The network with random weights; the default options are those of the published models."""

    def __init__(
        self,
        *,
        pyramid_levels: int = 7,
        fusion_pyramid_levels: int = 5,
        specialized_levels: int = 3,
        sub_levels: int = 4,
        filters: int = 64,
        flow_convs: Sequence[int] = (3, 3, 3, 3),
        flow_filters: Sequence[int] = (32, 64, 128, 256),
        seed: int = 0,
    ) -> None:
        self.pyramid_levels = pyramid_levels
        self.fusion_pyramid_levels = fusion_pyramid_levels
        self.specialized_levels = specialized_levels
        self.sub_levels = sub_levels
        self.variables: list[Any] = []
        """All weights in the order of the published models; names end in `:0`."""
        self._random = np.random.default_rng(seed)

        self._extractor: list[Layer] = []
        channels = 3
        for sub_level in range(sub_levels):
            for number in (2 * sub_level, 2 * sub_level + 1):
                name = f"feat_net/sub_extractor/cfeat_conv_{number}"
                self._extractor.append(self._layer(name, 3, channels, filters * 2**sub_level))
                channels = filters * 2**sub_level

        features = [filters * (2 ** min(level + 1, sub_levels) - 1) for level in range(pyramid_levels)]
        self._predictors: list[list[Layer]] = []
        for level in range(specialized_levels + 1):
            name = f"predict_flow/flow_predictor_{'shared' if level == specialized_levels else level}"
            width = flow_filters[level]
            sizes = [(3, width)] * flow_convs[level] + [(1, width // 2), (1, 2)]
            predictor: list[Layer] = []
            channels = 2 * features[level]
            for number, (size, outputs) in enumerate(sizes):
                predictor.append(self._layer(f"{name}/conv_{number}", size, channels, outputs))
                channels = outputs
            self._predictors.append(predictor)

        aligned = [2 * (3 + features[level]) + 2 + 2 for level in range(fusion_pyramid_levels)]
        # The public release stops doubling the filters at the first level that is not specialized.
        fused = [filters * 2 ** min(level, specialized_levels) for level in range(fusion_pyramid_levels - 1)]
        self._fusion: list[list[Layer]] = []
        for level, width in enumerate(fused):
            below = aligned[-1] if level == len(fused) - 1 else fused[level + 1]
            inputs = [(2, below), (3, aligned[level] + width), (3, width)]
            self._fusion.append([self._fusion_layer(level, i, *each, width) for i, each in enumerate(inputs)])
        self._output = self._fusion_layer(len(fused), 0, 1, fused[0] if fused else aligned[0], 3)
        self._scale_weights()

    def _scale_weights(self) -> None:
        """Scale the last layers so that motion and images of smooth noise have the size of real ones."""
        noise = self._random.normal(0.5, 0.25, (2, 1, 8, 8, 3)).astype(np.float32)
        side = max(64, 2**self.pyramid_levels)
        before, after = (tf.image.resize(each, (side, side), "bicubic") for each in noise)
        first, second = (self._feature_pyramid(self._image_pyramid(image)) for image in (before, after))
        for level, predictor in enumerate(self._predictors):
            motion = self._predicted(level, first[level], second[level])
            scale = _PIXELS_OF_MOTION / 2**level / tf.sqrt(tf.reduce_mean(motion**2))
            for weights in predictor[-1]:
                weights.assign(weights * scale)
        kernel, bias = self._output
        mean, variance = tf.nn.moments(self.render(before, after, 0.5), axes=(0, 1, 2))
        kernel.assign(kernel * _CONTRAST / tf.sqrt(variance))
        bias.assign(0.5 + (bias - mean) * _CONTRAST / tf.sqrt(variance))

    def _fusion_layer(self, level: int, index: int, size: int, inputs: int, outputs: int) -> Layer:
        number = 3 * level + index
        return self._layer(f"fusion/conv2d_{number}" if number else "fusion/conv2d", size, inputs, outputs)

    def _layer(self, name: str, size: int, inputs: int, outputs: int) -> Layer:
        """Random weights that keep the mean square of what passes (He et al., arXiv 1502.01852)."""
        spread = np.sqrt(2 / (1 + _LEAKY**2) / (size * size * inputs))
        kernel = self._random.normal(0, spread, (size, size, inputs, outputs))
        bias = self._random.normal(0, 0.05, outputs)
        layer = (
            tf.Variable(kernel.astype(np.float32), name=f"{name}/kernel"),
            tf.Variable(bias.astype(np.float32), name=f"{name}/bias"),
        )
        self.variables += layer
        return layer

    def render(self, before: Tensor, after: Tensor, t: float) -> Tensor:
        """The frame at time `t`, not clipped; H and W are multiples of 2^(pyramid_levels - 1)."""
        images = [self._image_pyramid(image) for image in (before, after)]
        features = [self._feature_pyramid(pyramid) for pyramid in images]
        forward = self._flow_pyramid(features[0], features[1])
        backward = self._flow_pyramid(features[1], features[0])
        aligned = []
        for level in range(self.fusion_pyramid_levels):
            to_before, to_after = t * backward[level], (1 - t) * forward[level]
            warped_before = warp(tf.concat([images[0][level], features[0][level]], axis=-1), to_before)
            warped_after = warp(tf.concat([images[1][level], features[1][level]], axis=-1), to_after)
            aligned.append(tf.concat([warped_before, warped_after, to_before, to_after], axis=-1))
        return self._fused(aligned)

    def flows(self, before: Tensor, after: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Forward and backward motion of all levels: (dx, dy) in pixels of the level."""
        first, second = (self._feature_pyramid(self._image_pyramid(image)) for image in (before, after))
        return self._flow_pyramid(first, second), self._flow_pyramid(second, first)

    def _image_pyramid(self, image: Tensor) -> list[Tensor]:
        pyramid = [image]
        while len(pyramid) < self.pyramid_levels:
            pyramid.append(halved(pyramid[-1]))
        return pyramid

    def _feature_pyramid(self, images: list[Tensor]) -> list[Tensor]:
        extracted = []
        for level, image in enumerate(images):
            sub_features: list[Tensor] = []
            for sub_level in range(min(self.pyramid_levels - level, self.sub_levels)):
                below = image if sub_level == 0 else halved(sub_features[-1])
                first, second = self._extractor[2 * sub_level : 2 * sub_level + 2]
                sub_features.append(leaky(convolved(leaky(convolved(below, first)), second)))
            extracted.append(sub_features)
        return [
            tf.concat([extracted[level - i][i] for i in range(min(level + 1, self.sub_levels))], axis=-1)
            for level in range(self.pyramid_levels)
        ]

    def _flow_pyramid(self, these: list[Tensor], others: list[Tensor]) -> list[Tensor]:
        flows: list[Tensor] = []
        for level in reversed(range(self.pyramid_levels)):
            if not flows:
                flow = self._predicted(level, these[level], others[level])
            else:
                upsampled = tf.image.resize(2 * flows[0], tf.shape(these[level])[1:3])
                flow = self._predicted(level, these[level], warp(others[level], upsampled)) + upsampled
            flows.insert(0, flow)
        return flows

    def _predicted(self, level: int, this: Tensor, other: Tensor) -> Tensor:
        *layers, last = self._predictors[min(level, self.specialized_levels)]
        net = tf.concat([this, other], axis=-1)
        for layer in layers:
            net = leaky(convolved(net, layer))
        return convolved(net, last)

    def _fused(self, aligned: list[Tensor]) -> Tensor:
        net = aligned[-1]
        for level in reversed(range(self.fusion_pyramid_levels - 1)):
            widen, first, second = self._fusion[level]
            net = tf.image.resize(net, tf.shape(aligned[level])[1:3], tf.image.ResizeMethod.NEAREST_NEIGHBOR)
            net = tf.concat([aligned[level], convolved(net, widen)], axis=-1)
            net = leaky(convolved(leaky(convolved(net, first)), second))
        return convolved(net, self._output)

    def export(self, folder: Path, **form: bool) -> Path:
        """Write the SavedModel that the public release would write; return `folder`."""
        return write_saved_model(folder, lambda before, after: self.render(before, after, 0.5), self.variables, **form)


def write_saved_model(
    folder: Path,
    middle: Callable[[Tensor, Tensor], Tensor],
    variables: Sequence[Any],
    *,
    beside_it: bool = True,
    callable_object: bool = True,
) -> Path:
    """Write a SavedModel with the published contract, whose graph is `middle`; `time` is an input it ignores.

    The authors' exporter leaves an object that can be called. With their configurations it returns more than the frame,
    and `serving_default` returns all of that under the names of Keras layers (their code at 69f8708, TensorFlow 2.6).
    """
    image, time = tf.TensorSpec((None, None, None, 3), tf.float32), tf.TensorSpec((None, 1), tf.float32)
    graph = tf.function(middle, input_signature=[image, image], autograph=False).get_concrete_function()

    def call(inputs: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        made = {"image": graph(inputs["x0"], inputs["x1"])}
        if beside_it:
            flows = [inputs["x0"][..., :2], inputs["x0"][:, ::2, ::2, :2]]
            made |= {"x0_warped": inputs["x0"], "x1_warped": inputs["x1"], "forward_flow_pyramid": flows}
        return made

    def serve(x0: Tensor, x1: Tensor, time: Tensor) -> dict[str, Tensor]:
        made = call({"x0": x0, "x1": x1, "time": time})
        flows = made.pop("forward_flow_pyramid", [])
        named = {f"tf.__operators__.getitem_{24 + index}": each for index, each in enumerate(made.values())}
        return named | {f"tf.__operators__.add_{index}": flow for index, flow in enumerate(flows)}

    root = tf.train.Checkpoint()
    root.variables = list(variables)
    if callable_object:
        root.__call__ = tf.function(call, autograph=False)
        root.__call__.get_concrete_function({"x0": image, "x1": image, "time": time}, training=False)
    signature = tf.function(serve, input_signature=[image, image, time], autograph=False)
    tf.saved_model.save(root, str(folder), signatures=signature)
    return folder


def leaky(net: Tensor) -> Tensor:
    """Negative values shrink."""
    return tf.nn.leaky_relu(net, _LEAKY)


def convolved(net: Tensor, layer: Layer) -> Tensor:
    """A convolution of equal size out."""
    return tf.nn.conv2d(net, layer[0], strides=1, padding="SAME") + layer[1]


def halved(image: Tensor) -> Tensor:
    """The mean of every 2x2 pixels."""
    return tf.nn.avg_pool2d(image, ksize=2, strides=2, padding="VALID")


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """`out[y, x] = image[y + dy, x + dx]`, bilinear between four corners; what lies outside is the nearest border."""
    batch, height, width, _ = tf.unstack(tf.shape(image))
    numbers, rows, columns = tf.meshgrid(tf.range(batch), tf.range(height), tf.range(width), indexing="ij")
    top, down = _corner_and_fraction(tf.cast(rows, tf.float32) + flow[..., 1], height)
    left, right = _corner_and_fraction(tf.cast(columns, tf.float32) + flow[..., 0], width)

    def at(y: Tensor, x: Tensor) -> Tensor:
        return tf.gather_nd(image, tf.stack([numbers, y, x], axis=-1))

    upper = (1 - right) * at(top, left) + right * at(top, left + 1)
    lower = (1 - right) * at(top + 1, left) + right * at(top + 1, left + 1)
    return (1 - down) * upper + down * lower


def _corner_and_fraction(place: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    corner = tf.clip_by_value(tf.floor(place), 0.0, tf.cast(size - 2, tf.float32))
    fraction = tf.clip_by_value(place - corner, 0.0, 1.0)
    return tf.cast(corner, tf.int32), fraction[..., tf.newaxis]
