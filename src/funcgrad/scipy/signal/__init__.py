"""Signals under the names of `jax.scipy.signal`: convolutions, trends and spectra.

In: arrays of numbers, integers among them. Out: arrays of the inexact dtype that goes with them.
"""

from __future__ import annotations

from .convolutions import convolve as convolve
from .convolutions import convolve2d as convolve2d
from .convolutions import correlate as correlate
from .convolutions import correlate2d as correlate2d
from .convolutions import fftconvolve as fftconvolve
from .spectra import csd as csd
from .spectra import stft as stft
from .spectra import welch as welch
from .synthesis import istft as istft
from .trends import detrend as detrend
