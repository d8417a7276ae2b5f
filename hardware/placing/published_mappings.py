"""Mappings that Intel's compiler printed, and the estimate beside them.

All tables stand in the outputs of lava-dl's tutorials (``tutorials/lava/lib/dl/netx``: ``pilotnet_snn/benchmark``,
``yolo_kp/run``, ``oxford/run``, ``mnist/run``, version 0.6). ``words`` is the synapse memory that they print for a
core of the layer, 64-bit words: networks whose weights are small take fewer than 8 bits a weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snnface.hardware.placing.chip import load_chip
from snnface.hardware.placing.cores import WEIGHT_BITS, WORD_BITS, conv_cut, dense_cut

#: A dense layer's estimate may be this many times off, either way.
DENSE_FACTOR = 1.75


@dataclass(frozen=True)
class PrintedConv:
    """A convolution (``entries``: input channels times kernel positions), its printed cores, tile and words."""

    network: str
    width: int
    height: int
    channels: int
    entries: int
    cores: int
    tile: tuple[int, int, int]
    words: float

    @property
    def bits(self) -> float:
        """Bits a weight that the printed words amount to."""
        return self.words * WORD_BITS / (self.entries * self.tile[2]) if self.entries else WEIGHT_BITS


@dataclass(frozen=True)
class PrintedDense:
    """A dense layer and its printed cores."""

    network: str
    inputs: int
    outputs: int
    cores: int


CONVOLUTIONS = (
    PrintedConv("PilotNet, input", 200, 66, 3, 0, 13, (16, 66, 3), 0),
    PrintedConv("PilotNet", 99, 32, 24, 27, 25, (4, 32, 24), 81),
    PrintedConv("PilotNet", 49, 15, 36, 216, 13, (4, 15, 36), 864),
    PrintedConv("PilotNet", 24, 7, 48, 324, 3, (8, 7, 48), 1620),
    PrintedConv("PilotNet", 22, 4, 64, 432, 3, (8, 4, 64), 2160),
    PrintedConv("PilotNet", 20, 2, 64, 576, 2, (16, 2, 64), 2880),
    PrintedConv("YOLO-KP", 224, 224, 16, 27, 224, (8, 28, 16), 41),
    PrintedConv("YOLO-KP", 112, 112, 32, 144, 112, (8, 14, 32), 432),
    PrintedConv("YOLO-KP", 56, 56, 64, 288, 56, (4, 14, 64), 1296),
    PrintedConv("YOLO-KP", 28, 28, 128, 576, 28, (4, 7, 128), 4752),
    PrintedConv("YOLO-KP", 28, 28, 256, 1152, 56, (4, 7, 128), 9504),
    PrintedConv("YOLO-KP", 14, 14, 256, 2304, 16, (8, 7, 64), 8640),
    PrintedConv("YOLO-KP", 14, 14, 512, 2304, 32, (8, 7, 64), 10368),
    PrintedConv("YOLO-KP", 14, 14, 256, 512, 14, (2, 7, 256), 8064),
    PrintedConv("YOLO-KP", 14, 14, 512, 2304, 32, (8, 7, 64), 10368),
    PrintedConv("YOLO-KP", 14, 14, 48, 512, 4, (4, 14, 48), 2304),
)
DENSE = (
    PrintedDense("PilotNet", 2560, 100, 12),
    PrintedDense("PilotNet", 100, 50, 1),
    PrintedDense("PilotNet", 50, 10, 1),
    PrintedDense("PilotNet", 10, 1, 1),
    PrintedDense("Oxford", 200, 256, 3),
    PrintedDense("Oxford", 256, 200, 2),
    PrintedDense("MNIST", 784, 128, 3),
    PrintedDense("MNIST", 128, 64, 1),
    PrintedDense("MNIST", 64, 10, 1),
)


def compare() -> dict[str, Any]:
    """Every printed layer beside the estimate: with 8 bits a weight, and with the bits that its memory tells."""
    core = load_chip("loihi2").core
    assert core is not None
    rows: list[dict[str, Any]] = []
    for c in CONVOLUTIONS:
        size = (c.width, c.height, c.channels, c.entries, core)
        wide, own = conv_cut(*size), conv_cut(*size, c.bits)
        rows.append(
            {
                "network": c.network,
                "layer": f"conv {c.width}×{c.height}×{c.channels}",
                "printed": c.cores,
                "estimate": own.cores,
                "estimate_8_bits": wide.cores,
                "tile": "×".join(map(str, own.tile)),
                "printed_tile": "×".join(map(str, c.tile)),
                "exact": own.cores == c.cores,
            }
        )
    for d in DENSE:
        cores = dense_cut(d.inputs, d.outputs, core).cores
        rows.append(
            {
                "network": d.network,
                "layer": f"dense {d.inputs}→{d.outputs}",
                "printed": d.cores,
                "estimate": cores,
                "estimate_8_bits": cores,
                "exact": cores == d.cores,
                "factor": max(cores / d.cores, d.cores / cores),
            }
        )
    convs, dense = rows[: len(CONVOLUTIONS)], rows[len(CONVOLUTIONS) :]
    return {
        "layers": rows,
        "conv_exact": f"{sum(r['exact'] for r in convs)} of {len(convs)}",
        "conv_exact_8_bits": f"{sum(r['estimate_8_bits'] == r['printed'] for r in convs)} of {len(convs)}",
        "tiles_equal": f"{sum(r['tile'] == r['printed_tile'] for r in convs)} of {len(convs)}",
        "dense_exact": f"{sum(r['exact'] for r in dense)} of {len(dense)}",
        "dense_worst_factor": max(r["factor"] for r in dense),
        "passed": all(r["exact"] for r in convs) and all(r["factor"] <= DENSE_FACTOR for r in dense),
        "source": "lava-dl 0.6, tutorials/lava/lib/dl/netx: outputs of pilotnet_snn, yolo_kp, oxford and mnist",
    }
