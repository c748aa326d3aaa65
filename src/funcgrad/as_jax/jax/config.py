"""`jax.config`: JAX's option names on funcgrad's options.

Three kinds of names: those funcgrad has; those that only say how JAX runs, which take any value and
change nothing; and those that ask for something of which funcgrad does one thing only, which take
the value that names it.
"""

from __future__ import annotations

from typing import Any

from ...config import config as _config

# How JAX runs or reports; results do not depend on them.
_of_running = frozenset(
    "jax_traceback_filtering jax_logging_level jax_compilation_cache_dir "
    "jax_enable_compilation_cache jax_compilation_cache_max_size jax_explain_cache_misses "
    "jax_persistent_cache_min_compile_time_secs jax_persistent_cache_min_entry_size_bytes "
    "jax_persistent_cache_enable_xla_caches jax_raise_persistent_cache_errors jax_enable_checks "
    "jax_cpu_enable_async_dispatch jax_hlo_source_file_canonicalization_regex jax_pprint_use_color "
    "jax_include_full_tracebacks_in_locations jax_traceback_in_locations_limit jax_dump_ir_to "
    "jax_transfer_guard jax_array_garbage_collection_guard jax_optimization_level "
    "jax_exec_time_optimization_effort jax_memory_fitting_effort jax_use_shardy_partitioner "
    "jax_debug_log_modules jax_no_tracing jax_remove_size_one_mesh_axis_from_type".split()
)
# What is done here, as a value of the option; another value would be another result.
_fixed: dict[str, tuple[Any, ...]] = {
    "jax_platform_name": ("cpu", "", None),
    "jax_platforms": ("cpu", "", None),
    "jax_default_prng_impl": ("threefry2x32",),
    "jax_threefry_partitionable": (True,),
    "jax_enable_custom_prng": (False, True),
    "jax_random_seed_offset": (0,),
    "jax_legacy_prng_key": ("allow",),
    "jax_softmax_custom_jvp": (True,),
}


class Config:
    """The options under JAX's names."""

    def __init__(self) -> None:
        self._set: dict[str, Any] = {}

    def update(self, name: str, val: Any) -> None:
        """Set an option.

        Raises:
            AttributeError: funcgrad knows no such option.
            ValueError: the value asks for what funcgrad does not do.
        """
        if name == "jax_num_cpu_devices" and val == -1:
            val = None
        if name in _fixed and val not in _fixed[name]:
            raise ValueError(
                f"jax.config.update({name!r}, {val!r}): here it can be "
                f"{' or '.join(map(repr, _fixed[name]))}, since that is what funcgrad does."
            )
        if name in _fixed or name in _of_running:
            self._set[name] = val
        else:
            _config.update(name, val)

    def read(self, name: str) -> Any:
        """The value of an option."""
        return getattr(self, name)

    @property
    def x64_enabled(self) -> bool:
        return _config.enable_x64

    @property
    def values(self) -> dict[str, Any]:
        """The options that were set here."""
        return dict(self._set)

    def parse_flags_with_absl(self) -> None:
        """Nothing to parse: there are no flags of absl."""

    def __getattr__(self, name: str) -> Any:
        if name in _fixed:
            return self._set.get(name, _fixed[name][0])
        if name in _of_running:
            return self._set.get(name)
        return _config.read(name)


config = Config()
