"""NIR files that do not say enough, or say what we cannot run: each is refused with node, reason and fix."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import h5py
import nir
import numpy as np
import pytest
from nir_networks import network

from snnface.errors import InputError
from snnface.hardware import nir_files
from snnface.hardware.nir_files.semantics import parse
from snnface.hardware.nir_files.simulate import Simulation
from snnface.hardware.nir_files.write import refusals


def lif(n: int = 4, **changes: Any) -> nir.LIF:
    values = {"tau": 5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.5, "v_reset": 0.0}
    every = {key: np.full(n, value) for key, value in values.items()}
    return nir.LIF(**every | {key: np.broadcast_to(np.asarray(value, float), n) for key, value in changes.items()})


def graph(nodes: dict[str, Any] | None = None, shape: tuple[int, ...] = (3,), edges: Any = None) -> nir.NIRGraph:
    """Input → weights → LIF → output, with nodes replaced or put between LIF and output."""
    found: dict[str, Any] = {"input": nir.Input(np.array(shape)), "w": nir.Linear(np.ones((4, 3))), "n": lif()}
    found |= nodes or {}
    found["output"] = found.pop("output", nir.Output(np.array([4])))
    return nir.NIRGraph(found, edges or list(itertools.pairwise(found)), type_check=False)


def check(error: InputError, *words: str) -> None:
    """One line with place, reason and a fix."""
    assert error.fix
    for word in words:
        assert word in str(error), (word, str(error))


SIMULATED = {
    "a node that was not expressed": ({"w": None}, ["node w", "could not express"]),
    "weights of another size": ({"w": nir.Linear(np.ones((4, 5)))}, ["node w", "(4, 5)"]),
    "weights of three dimensions": ({"w": nir.Linear(np.ones((2, 4, 3)))}, ["node w"]),
    "biases of another size": ({"w": nir.Affine(np.ones((4, 3)), np.ones(7))}, ["node w", "7 biases"]),
    "weights that are not finite": ({"w": nir.Linear(np.full((4, 3), np.nan))}, ["node w", "weight", "not finite"]),
    "a decay of one": ({"n": lif(tau=np.inf, r=np.inf)}, ["node n", "tau", "not finite"]),
    "a negative time constant": ({"n": lif(tau=-1e-3)}, ["node n", "tau", "no length of time"]),
    "a time constant shorter than a step": ({"n": lif(tau=1e-5)}, ["node n", "shorter than a step"]),
    "neurons of another number": ({"n": lif(5)}, ["node n", "(5,)"]),
    "a convolution of vectors": (
        {"w": nir.Conv2d(None, np.ones((4, 2, 3, 3)), 1, 0, 1, 1, np.zeros(4))}, ["node w", "Conv2d", "(3,)"],
    ),
    "a flattening of absent dimensions": ({"w": nir.Flatten(None, 2, -1)}, ["node w", "flattens 2"]),
    "a delay of half a step": ({"w": nir.Delay(np.full(3, 5e-4)), "n": lif(3)}, ["node w", "0.5"]),
    "a graph in a graph": ({"w": graph()}, ["node w", "graph inside"]),
    "two inputs": ({"more": nir.Input(np.array([4]))}, ["2 Input"]),
}  # fmt: skip
READ = {
    "biases": ({"w": nir.Affine(np.ones((4, 3)), np.ones(4))}, "", ["node n", "biases"]),
    "a delay": ({"w": nir.Delay(np.zeros(3)), "n": lif(3)}, "", ["node w", "Delay", "simulate"]),
    "weights after weights": ({"n": nir.Linear(np.ones((2, 4))), "m": lif(2)}, "", ["node n", "without neurons"]),
    "weights at the end": ({"m": nir.Linear(np.ones((2, 4)))}, "", ["node m", "no neurons"]),
    "pooling at the end": (
        {"input": nir.Input(np.array([1, 4, 4])), "w": nir.Flatten(None, 0, -1), "n": lif(16),
         "m": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))}, "", ["node m", "pools"],
    ),
    "a reset elsewhere than at rest": ({"n": lif(v_reset=0.2)}, "", ["node n", "resets to 0.2"]),
    "neurons that start elsewhere than at rest": ({"n": lif(v_leak=0.1, v_reset=0.1)}, "nir,start=zero", ["node n"]),
    "several spikes a step": ({}, "sinabs,dt=1e-3", ["several spikes", "spikes=one"]),
    "a reset one step late": ({}, "snntorch,reset=late", ["late", "reset_delay"]),
    "membranes between layers": (
        {"n": nir.LI(*(np.full(4, x) for x in (5e-3, 1.0, 0.0))), "m": nir.Linear(np.ones((2, 4))), "k": lif(2)}, "",
        ["node n", "membranes"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SIMULATED)
def test_graphs_that_cannot_be_run(case):
    nodes, words = SIMULATED[case]
    with pytest.raises(InputError) as error:
        Simulation(*nir_files.open_graph(graph(nodes), dt=1e-3))
    check(error.value, *words)


@pytest.mark.parametrize("case", READ)
def test_graphs_that_are_none_of_our_networks_but_run(case):
    nodes, said, words = READ[case]
    shape = (1, 4, 4) if "pooling" in case else (3,)
    made = graph(nodes, shape)
    with pytest.raises(InputError) as error:
        nir_files.read(made, said or None, dt=1e-3)
    check(error.value, *words)
    if "pooling" not in case:
        Simulation(*nir_files.open_graph(made, said or None, dt=1e-3)).advance(np.ones((5, *shape)))


def test_a_graph_without_a_step_asks_for_one():
    with pytest.raises(InputError) as error:
        nir_files.open_graph(graph())
    check(error.value, "how long a step is", "--dt", "snnTorch")


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan")])
def test_steps_without_length(dt):
    with pytest.raises(InputError, match=r"no.* length of time"):
        nir_files.open_graph(graph(), dt=dt)


@pytest.mark.parametrize(
    "text", ["brian", "snntorch,tempo=2", "reset=soft", "nir,dt=fast", "nir,dt=-1", "nir,step_us="]
)
def test_semantics_that_do_not_exist(text):
    with pytest.raises(InputError) as error:
        parse(text)
    check(error.value, "--semantics")


def test_recurrent_and_branching_graphs():
    nodes = {"r": nir.Linear(np.ones((4, 4)))}
    edges = [("input", "w"), ("w", "n"), ("n", "r"), ("r", "n"), ("n", "output")]
    with pytest.raises(InputError) as error:
        nir_files.read(graph(nodes, edges=edges), dt=1e-3)
    check(error.value, "node n", "back to r", "simulate")
    loop = [("input", "w"), ("w", "r"), ("r", "q"), ("q", "r"), ("r", "n"), ("n", "output")]
    with pytest.raises(InputError) as error:
        nir_files.load(graph(nodes | {"q": nir.Linear(np.ones((4, 4)))}, edges=loop))
    check(error.value, "circle without neurons")
    edges = [("input", "w"), ("w", "n"), ("n", "r"), ("r", "m"), ("n", "m"), ("m", "output")]
    branching = graph(nodes | {"m": lif()}, edges=edges)
    Simulation(*nir_files.open_graph(branching, dt=1e-3)).advance(np.ones((3, 3)))
    with pytest.raises(InputError) as error:
        nir_files.read(branching, dt=1e-3)
    check(error.value, "node m", "adds up")


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([("input", "w"), ("w", "n"), ("n", "output"), ("n", "gone")], ["no node gone"]),
        ([("input", "w"), ("n", "output")], ["node n", "no input"]),
        ([("input", "w"), ("w", "n"), ("w", "output")], ["node n", "does not lead"]),
    ],
)
def test_loose_ends(edges, words):
    with pytest.raises(InputError) as error:
        nir_files.load(graph(edges=edges))
    check(error.value, *words)


def test_parameters_that_differ_inside_a_channel():
    threshold = np.ones((2, 3, 3))
    threshold[1, 0, 0] = 2
    one = np.ones_like(threshold)
    node = nir.LIF(5e-3 * one, one, 0 * one, threshold, 0 * one)
    made = graph({"w": nir.Scale(one), "n": node}, (2, 3, 3))
    Simulation(*nir_files.open_graph(made, dt=1e-3)).advance(np.ones((2, 2, 3, 3)))
    with pytest.raises(InputError) as error:
        nir_files.read(made, dt=1e-3)
    check(error.value, "node n", "v_threshold", "positions")


def test_pooling_that_cuts_a_border_off():
    pool = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
    conv = nir.Conv2d(None, np.ones((4, 1, 2, 2)), 1, 0, 1, 1, np.zeros(4))
    one = np.ones((4, 1, 1))
    made = graph({"w": pool, "c": conv, "n": nir.LIF(5e-3 * one, one, 0 * one, one)}, (1, 5, 5))
    nodes = made.nodes
    made = nir.NIRGraph(
        {name: nodes[name] for name in ("input", "w", "c", "n", "output")},
        list(itertools.pairwise(("input", "w", "c", "n", "output"))), type_check=False,
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        nir_files.read(made, dt=1e-3)
    check(error.value, "node c", "do not tile")


def test_a_batch_dimension_in_the_file():
    conv = nir.Conv2d(None, np.ones((4, 2, 3, 3)), 1, 0, 1, 1, np.zeros(4))
    with pytest.raises(InputError) as error:
        Simulation(*nir_files.open_graph(graph({"w": conv}, (1, 2, 9, 9)), dt=1e-3))
    check(error.value, "node w", "batch", "ignore_dims")


@pytest.mark.parametrize(
    ("item", "value", "words"),
    [
        ("node/nodes/n/type", "Izhikevich", ["node n", "Izhikevich"]),
        ("node/nodes/n/tau", None, ["node n", "lacks tau"]),
        ("node/nodes/n/tau", "long", ["node n", "tau", "not a number"]),
        ("node/edges", None, ["not a NIR file"]),
        ("node", None, ["not a NIR file"]),
        ("node/type", "LIF", ["a single node"]),
    ],
)
def test_files_that_were_tampered_with(tmp_path, item, value, words):
    path = tmp_path / "x.nir"
    nir.write(path, graph())
    with h5py.File(path, "r+") as f:
        del f[item]
        if value is not None:
            f[item] = value
    with pytest.raises(InputError) as error:
        nir_files.load(path)
    check(error.value, *words)


@pytest.mark.parametrize("content", [b"", b"no file of HDF5", None])
def test_what_is_no_file(tmp_path, content):
    path = tmp_path / "x.nir"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError):
        nir_files.load(path)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"reset": "subtract"}, "subtraction"),
        ({"beta": 1.0}, "leak"),
        ({"alpha": 1.0 - 1e-9}, "leak"),
        ({"threshold": 0.0}, "threshold"),
        ({"alpha": -0.1}, "negative"),
        ({"weight": np.full((16, 2, 5, 5), np.inf)}, "finite"),
    ],
)
def test_networks_that_nir_cannot_say(changes, word):
    plain = network()
    first = dataclasses.replace(plain.layers[0], **changes)
    found = refusals(dataclasses.replace(plain, layers=(first, *plain.layers[1:])))
    assert found
    assert {x["layer"] for x in found} == {"conv1"}
    assert any(word in x["what"] for x in found)
    assert all(x["fix"] for x in found)
    assert refusals(plain) == []
