"""Traced, lowered and compiled programs as values: what they say of a call, and calling them."""

import re

import numpy as np
import pytest

import funcgrad as fg
from funcgrad import P
from funcgrad.experimental.layout import Format, Layout, with_layout_constraint
from funcgrad.sharding import NamedSharding, SingleDeviceSharding
from funcgrad.stages import ArgInfo

X = np.arange(4, dtype=np.float32)


def test_static_arguments_are_no_part_of_a_program():
    scaled = fg.jit(lambda n, x: x * n, static_argnums=0)
    compiled = scaled.lower(3, X).compile()
    np.testing.assert_array_equal(compiled(X), 3 * X)
    with pytest.raises(TypeError, match="was compiled for arguments of structure"):
        compiled(3, X)
    named = fg.jit(lambda x, *, n: x * n, static_argnames="n")
    np.testing.assert_array_equal(named.lower(X, n=2).compile()(X), 2 * X)


def test_arguments_are_called_by_their_places_among_all():
    traced = fg.jit(lambda n, x, *, y: x["a"] * n + y, static_argnums=0).trace(3, {"a": X}, y=X)
    assert vars(traced)["_call"].names == ["argument 1['a']", "argument y"]


def test_what_is_known_of_arguments_and_results():
    lowered = fg.jit(lambda a, b: {"o": a["p"] + b}, donate_argnums=0).lower({"p": X}, b=2.0)
    for stage in (lowered, lowered.compile()):
        (first,), named = stage.args_info
        assert isinstance(first["p"], ArgInfo) and first["p"].donated
        assert (first["p"].shape, first["p"].dtype) == ((4,), np.float32)
        assert not named["b"].donated and named["b"].shape == ()
        assert stage.donate_argnums == (0,)
        assert stage.in_avals[0][0]["p"].shape == (4,) and stage.in_avals[1]["b"].weak_type
        assert stage.out_info["o"].shape == (4,)
    assert fg.jit(lambda x: {"o": x}).trace(X).out_avals["o"].dtype == np.float32


def test_donated_arguments_are_gone():
    x = fg.numpy.asarray(X)
    compiled = fg.jit(lambda x: x + 1, donate_argnums=0).lower(x).compile()
    np.testing.assert_array_equal(compiled(x), X + 1)
    assert x.is_deleted()


def test_shardings(cpus):
    cpus(4)
    mesh = fg.make_mesh((4,), ("data",))
    divided, same = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    f = fg.jit(lambda x, y: (x + y, y), in_shardings=(divided, None), out_shardings=(divided, None))
    compiled = f.lower(X, X).compile()
    assert compiled.input_shardings == ((divided, same), {})
    assert compiled.output_shardings == (divided, same)
    formats = (Format(Layout((0,)), divided), Format(Layout((0,)), same))
    assert (compiled.input_formats, compiled.output_formats) == ((formats, {}), formats)
    outs = compiled(X, X)
    assert outs[0].format == formats[0]
    assert [x.sharding for x in outs] == [divided, same]
    np.testing.assert_array_equal(outs[0], X + X)
    with pytest.raises(ValueError, match="does not match the sharding"):
        compiled(fg.device_put(X, same), X)
    with pytest.raises(ValueError, match=r"(?s)y by name.*test_stages"):
        f.lower(X, y=X)


def test_shardings_of_what_is_over_no_mesh():
    compiled = fg.jit(lambda x: [x]).lower(X).compile()
    here = SingleDeviceSharding(fg.devices()[0])
    assert compiled.input_shardings == ((here,), {}) and compiled.output_shardings == [here]


def test_shardings_of_stand_ins_and_of_shard_map(cpus):
    cpus(4)
    mesh = fg.make_mesh((4,), ("data",))
    divided, same = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    stand_in = fg.ShapeDtypeStruct((4,), np.float32, sharding=divided)
    assert stand_in.sharding == divided and stand_in.update(shape=(8,)).sharding == divided
    assert stand_in != fg.ShapeDtypeStruct((4,), np.float32) and "sharding=" in repr(stand_in)
    twice = fg.shard_map(lambda x: 2 * x, mesh=mesh, in_specs=P("data"), out_specs=P("data"))
    compiled = fg.jit(lambda x: (twice(x), x + 1)).lower(stand_in).compile()
    assert compiled.input_shardings == ((divided,), {})
    assert compiled.output_shardings == (divided, same)
    outs = compiled(fg.device_put(X, divided))
    assert tuple(x.sharding for x in outs) == compiled.output_shardings


def test_texts_and_options():
    lowered = fg.jit(lambda x: x + 1).lower(X)
    assert lowered.as_text() == lowered.as_text("jaxpr") == str(lowered.simplified)
    assert "test_stages.py" in lowered.as_text(debug_info=True)
    assert lowered.compile({})(X)[1] == lowered.compile(compiler_options=None)(X)[1] == 2
    traced = fg.jit(lambda x: x + 1).trace(X)
    assert traced.lower(lowering_platforms=("cpu", "cuda")).as_text() == lowered.as_text()
    cases = [
        (lambda: lowered.as_text("stablehlo"), "not written as 'stablehlo'"),
        (lambda: lowered.compile({"xla_flag": True}), "this compiler has none"),
        (lambda: fg.jit(lambda x: x, compiler_options={"xla_flag": 1}), "this compiler has none"),
        (lambda: traced.lower(lowering_platforms=("tpu",)), "has 'tpu'"),
    ]
    for act, text in cases:
        with pytest.raises(ValueError, match=text) as told:
            act()
        assert re.search("test_stages", str(told.value))


def test_arrays_are_row_major():
    place = fg.numpy.ones((2, 3)).format
    assert place == Format(Layout((0, 1)), SingleDeviceSharding(fg.devices()[0]))
    for given in (place, Format(None, place.sharding), Format(), {"x": place}):
        tree = {"x": np.ones((2, 3))} if isinstance(given, dict) else np.ones((2, 3))
        np.testing.assert_array_equal(
            fg.tree.leaves(fg.device_put(tree, given))[0], np.ones((2, 3))
        )
    assert with_layout_constraint(X, Layout((0,))) is X
    for act in (
        lambda: fg.device_put(np.ones((2, 3)), Format(Layout((1, 0)))),
        lambda: with_layout_constraint(np.ones((2, 3)), Layout((1, 0))),
    ):
        with pytest.raises(ValueError, match=r"(?s)arrays are row-major.*test_stages"):
            act()


def test_what_libraries_ask_of_devices():
    device = fg.devices()[0]
    assert device.client.platform == device.platform and device.client.process_index() == 0
    assert (device.host_id, device.local_hardware_id) == (0, 0)
    (memory,) = device.addressable_memories()
    assert memory == device.default_memory() and memory.kind == "device"
    assert memory.addressable_by_devices() == [device]
