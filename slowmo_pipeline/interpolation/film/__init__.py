"""FILM: Frame Interpolation for Large Motion (Reda et al., ECCV 2022, arXiv 2202.04901), in TensorFlow.

options.py       what kind of network a model's variables are of
saved_model.py   a published model: its variables, and its own graph as the yardstick
network.py       our build of the network
devices.py       where and how precisely TensorFlow computes
comparison.py    our build held against the model's own graph
recursion.py     which pairs of frames make the times wanted
interpolator.py  frames in, new frames out: tiles, memory, rounding
loading.py       from a folder to an interpolator
"""

import os
from pathlib import Path

# TensorFlow asks when it is imported. On a machine without NVIDIA's driver its wheels complain of that as an error; on
# one with it, errors may be why the GPU is not used.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if Path("/dev/nvidiactl").exists() else "3")

from slowmo_pipeline.interpolation.film.devices import prepare_devices  # after the variable
from slowmo_pipeline.interpolation.film.interpolator import FilmInterpolator
from slowmo_pipeline.interpolation.film.loading import load_film

__all__ = ["FilmInterpolator", "load_film", "prepare_devices"]
