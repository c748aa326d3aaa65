"""Meshes of devices, and which part of an array lies on which of them; as `jax.sharding`."""

from __future__ import annotations

from .control.layouts import reshard as reshard
from .core.meshes import AbstractMesh as AbstractMesh
from .core.meshes import AxisType as AxisType
from .core.meshes import Mesh as Mesh
from .core.meshes import PartitionSpec as PartitionSpec
from .core.meshes import get_abstract_mesh as get_abstract_mesh
from .core.meshes import get_mesh as get_mesh
from .core.meshes import set_mesh as set_mesh
from .core.meshes import use_abstract_mesh as use_abstract_mesh
from .core.shardings import NamedSharding as NamedSharding
from .core.shardings import Sharding as Sharding
from .core.shardings import SingleDeviceSharding as SingleDeviceSharding
from .core.shardings import make_single_device_sharding as make_single_device_sharding
