"""funcgrad: composable transformations of numerical Python functions.

Trace a pure function into a jaxpr, then differentiate, map, and run it: `grad`, `jvp`, `vjp`,
`vmap`, `jit` and the rest compose in any order. Names and semantics follow JAX's public API.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import lax as lax
from . import numpy as numpy  # installs the operators of Array and Tracer
from . import tree as tree
from . import tree_util as tree_util
from . import typing as typing
from .api.forward import jvp as jvp
from .api.forward import linearize as linearize
from .api.jacobians import hessian as hessian
from .api.jacobians import jacfwd as jacfwd
from .api.jacobians import jacobian as jacobian
from .api.jacobians import jacrev as jacrev
from .api.mapping import vmap as vmap
from .api.placement import block_until_ready as block_until_ready
from .api.placement import clear_caches as clear_caches
from .api.placement import device_get as device_get
from .api.placement import device_put as device_put
from .api.placement import effects_barrier as effects_barrier
from .api.reverse import fwd_and_bwd as fwd_and_bwd
from .api.reverse import grad as grad
from .api.reverse import linear_transpose as linear_transpose
from .api.reverse import value_and_grad as value_and_grad
from .api.reverse import vjp as vjp
from .api.tracing import ensure_compile_time_eval as ensure_compile_time_eval
from .api.tracing import eval_shape as eval_shape
from .api.tracing import make_jaxpr as make_jaxpr
from .api.tracing import named_call as named_call
from .api.tracing import named_scope as named_scope
from .api.tracing import typeof as typeof
from .config import check_tracer_leaks as check_tracer_leaks
from .config import checking_leaks as checking_leaks
from .config import config as config
from .config import debug_infs as debug_infs
from .config import debug_key_reuse as debug_key_reuse
from .config import debug_nans as debug_nans
from .config import default_device as default_device
from .config import default_matmul_precision as default_matmul_precision
from .config import disable_jit as disable_jit
from .config import enable_x64 as enable_x64
from .config import log_compiles as log_compiles
from .config import numpy_dtype_promotion as numpy_dtype_promotion
from .config import numpy_rank_promotion as numpy_rank_promotion
from .control.jitted import jit as jit
from .core import composed
from .core.devices import Device as Device
from .core.devices import default_backend as default_backend
from .core.devices import device_count as device_count
from .core.devices import devices as devices
from .core.devices import local_device_count as local_device_count
from .core.devices import local_devices as local_devices
from .core.devices import process_count as process_count
from .core.devices import process_index as process_index
from .core.devices import process_indices as process_indices
from .core.meshes import P as P
from .core.meshes import get_abstract_mesh as get_abstract_mesh
from .core.meshes import get_mesh as get_mesh
from .core.meshes import make_mesh as make_mesh
from .core.meshes import set_mesh as set_mesh
from .core.meshes import use_abstract_mesh as use_abstract_mesh
from .core.shapes import ShapeDtypeStruct as ShapeDtypeStruct
from .core.shardings import NamedSharding as NamedSharding
from .core.shardings import Shard as Shard
from .ir.dtypes import float0 as float0
from .typing import Array as Array

if TYPE_CHECKING:
    from .ad_checkpoint import checkpoint as checkpoint
    from .ad_checkpoint import checkpoint_policies as checkpoint_policies
    from .ad_checkpoint import remat as remat
    from .api.layouts import make_array_from_callback as make_array_from_callback
    from .api.layouts import (
        make_array_from_process_local_data as make_array_from_process_local_data,
    )
    from .api.layouts import (
        make_array_from_single_device_arrays as make_array_from_single_device_arrays,
    )
    from .api.pmap import pmap as pmap
    from .api.sharding import shard_map as shard_map
    from .control.callbacks import pure_callback as pure_callback
    from .control.custom_kernels import custom_kernel as custom_kernel
    from .custom_derivatives import closure_convert as closure_convert
    from .custom_derivatives import custom_gradient as custom_gradient
    from .custom_derivatives import custom_jvp as custom_jvp
    from .custom_derivatives import custom_vjp as custom_vjp
    from .profiler import profile as profile

__version__ = "0.1.0"

# What GPUs compute in the place of C functions is written in the names above.
composed.loaders.append(lambda: importlib.import_module(f"{__name__}.compositions"))

# Loaded when first asked for: they are not needed to start.
_modules = {
    "ad_checkpoint",
    "as_jax",
    "custom_batching",
    "custom_derivatives",
    "data",
    "debug",
    "dlpack",
    "dtypes",
    "errors",
    "experimental",
    "flatten_util",
    "image",
    "nn",
    "ops",
    "optim",
    "profiler",
    "random",
    "scipy",
    "sharding",
    "stages",
    "test_util",
    "train",
}
_names = {
    "checkpoint": "ad_checkpoint",
    "checkpoint_policies": "ad_checkpoint",
    "closure_convert": "custom_derivatives",
    "custom_gradient": "custom_derivatives",
    "custom_jvp": "custom_derivatives",
    "custom_kernel": "control.custom_kernels",
    "custom_vjp": "custom_derivatives",
    "make_array_from_callback": "api.layouts",
    "make_array_from_process_local_data": "api.layouts",
    "make_array_from_single_device_arrays": "api.layouts",
    "pmap": "api.pmap",
    "profile": "profiler",
    "pure_callback": "control.callbacks",
    "remat": "ad_checkpoint",
    "shard_map": "api.sharding",
}


def __getattr__(name: str) -> Any:
    if name in _modules:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _names:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_names[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_modules, *_names})
