"""Makes the networks of tests/golden and records real Lava on them; run it where Lava is installed:

python tests/record_golden.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slayer_networks
from integer_networks import clips, float_network, integer_network

from snnface.files import file_sha256
from snnface.hardware.inputs import Clips
from snnface.hardware.integers.fixed_point import payloads
from snnface.hardware.integers.network import IntegerLayer, IntegerNetwork
from snnface.hardware.lava import process
from snnface.hardware.netx_files import manifest
from snnface.hardware.netx_files.write import write_net
from snnface.hardware.quantising.quantise import quantise
from snnface.hardware.verifying import golden
from snnface.hardware.verifying.verify import against_lava

FOLDER = Path(__file__).parent / "golden"


def networks() -> None:
    """A quantised network with both inputs, and one with groups, dilation, biases, delays and own parameters."""
    network = float_network(seed=5)
    calibration = clips(network)
    manifest.save(FOLDER / "conv.net", quantise(network, calibration, "graded"), variants={"unary": "conv.unary.net"})
    manifest.save(FOLDER / "conv.unary.net", quantise(network, calibration, "unary"))
    write_net(FOLDER / "options.net", integer_network(145))


def record(net: str, mode: str) -> None:
    """Record two clips of 14 steps back to back, and print what was compared."""
    network = manifest.load(FOLDER / net)
    if network.host is None:
        rng = np.random.default_rng(0)
        shape = (2, 14, *network.input_shape)
        x = (rng.random(shape) < 0.15) * rng.integers(1, 32, shape)
    else:
        x = np.concatenate(list(payloads(network, clips(float_network(5), seconds=0.07)))).swapaxes(0, 1)
    name = f"{Path(net).stem.removesuffix('.unary')}.{mode}.golden.h5"
    certificate, _ = against_lava(FOLDER / net, Clips(x, "tests/record_golden.py", mode), 120, FOLDER / name)
    for row in certificate["layers"]:
        print(name, row)


def overflowing(kind: str) -> tuple[IntegerNetwork, np.ndarray]:
    """A network whose sums leave 24 bits (conv) or whose currents leave 32 (dense), and such payloads."""
    rng = np.random.default_rng(8)
    numbers = {"i_decay": np.asarray(0), "v_decay": np.asarray(300), "threshold": np.asarray(131_000)}
    if kind == "conv":
        shape: tuple[int, ...] = (260, 1, 2)
        weight = 2 * rng.integers(60, 128, (4, 260, 1, 1)) * np.array([1, -1, 1, -1])[:, None, None, None]
        weight[2:, ::2] //= -2
        layer = IntegerLayer("conv1", "conv", weight // 2 * 2, shape, (4, 1, 2), **numbers)
    else:
        shape = (520,)
        weight = 2 * rng.integers(100, 128, (3, 520)) * np.array([[1], [-1], [1]])
        layer = IntegerLayer("dense1", "dense", weight, shape, (3,), **numbers)
    return IntegerNetwork(shape, (layer,)), rng.integers(200, 256, (24, *shape))


def record_overflow(kind: str) -> None:
    """Record Lava where its integers wrap."""
    net = FOLDER / f"overflow-{kind}.net"
    network, x = overflowing(kind)
    write_net(net, network)
    record_run(net, x, reset=None)


def record_foreign(name: str) -> None:
    """Let lava-dl write a network, and record Lava on it."""
    net, x = FOLDER / f"slayer-{name}.net", slayer_networks.spikes()
    slayer_networks.export(name, net)
    record_run(net, x, reset=10)


def record_run(net: Path, x: np.ndarray, reset: int | None) -> None:
    """Run a file in Lava and keep what it does."""
    mode = "graded" if x.max() > 1 else "unary"
    with process.run(net, x, list(range(len(x))), mode == "graded", reset, 1, 120) as (recording, answer):
        about = {"versions": answer["versions"], "patches": answer["patches"], "data": "tests/record_golden.py"}
        stored = golden.Golden(file_sha256(net), x.astype(np.uint8), reset, 1, recording, about)
        golden.save(net.with_suffix(f".{mode}.golden.h5"), stored)
        print(net.name, [int(s.sum()) for s in recording.s], [int(np.abs(u).max()) for u in recording.u])


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    networks()
    for net, mode in (("conv.net", "graded"), ("conv.unary.net", "unary"), ("options.net", "graded")):
        record(net, mode)
    for name in slayer_networks.NAMES:
        record_foreign(name)
    for kind in ("conv", "dense"):
        record_overflow(kind)
