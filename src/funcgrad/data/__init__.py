"""Batches for training: shuffled, prefetched, resumable at any step.

A `Source` gives rows by number; `batches` gives them in an order that seed and epoch determine
alone, so that three integers say where a run is. Scaling is a fit that gives a pure function;
random changes of images are pure functions of a key.
"""

from __future__ import annotations

from .augmentation import center_crop as center_crop
from .augmentation import random_crop as random_crop
from .augmentation import random_flip as random_flip
from .augmentation import random_shift as random_shift
from .batching import Batches as Batches
from .batching import batches as batches
from .files import Hdf5 as Hdf5
from .files import ImageFolder as ImageFolder
from .files import Lmdb as Lmdb
from .files import hdf5 as hdf5
from .files import image_folder as image_folder
from .files import lmdb as lmdb
from .scaling import Scaling as Scaling
from .scaling import channel_scaling as channel_scaling
from .scaling import mean_image as mean_image
from .scaling import min_max as min_max
from .scaling import standardize as standardize
from .sources import Arrays as Arrays
from .sources import Source as Source
from .sources import arrays as arrays
