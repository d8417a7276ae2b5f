"""The manifest beside a netx file (``NAME.net.json``): what the host needs to feed the network and read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snnface import __version__
from snnface.errors import InputError
from snnface.files import file_sha256, read_json, write_json
from snnface.hardware.heads_file import described, head
from snnface.hardware.integers.network import Host, IntegerNetwork
from snnface.hardware.netx_files.read import read_net
from snnface.hardware.netx_files.write import write_net


def path_of(net: str | Path) -> Path:
    """Where the manifest of a netx file stands."""
    return Path(f"{net}.json")


def save(
    path: str | Path,
    network: IntegerNetwork,
    source: dict[str, Any] | None = None,
    variants: dict[str, str] | None = None,
) -> Path:
    """Write a netx file and its manifest; ``source`` says what the network was made from. Returns the manifest.

    ``variants``: input mode → name of the netx file beside this one that takes it.
    """
    host = network.host
    if host is None:
        raise ValueError("a network without host settings has no manifest")
    write_net(path, network)
    manifest = {
        "snnface": __version__,
        "format": "netx (lava-dl 0.6.0)",
        "sha256": file_sha256(path),
        "source": source or {},
        "variants": variants or {},
        "input_shape": list(network.input_shape),
        "input_mode": host.input_mode,
        "payload_one": host.payload_one,
        "payload_max": host.payload_max,
        "input_message_bits": 8 if host.input_mode == "graded" else 0,
        "step_us": host.step_us,
        "tau_syn_us": host.tau_syn_us,
        "latency_steps": len(network.layers),
        "reset": {"to": "zero", "reset_offset": 1},
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "spiking": layer.spiking,
                "neurons": layer.neurons,
                "scale": scale.tolist(),
            }
            for layer, scale in zip(network.layers, host.scales, strict=True)
        ],
        "heads": {name: described(one) for name, one in host.heads.items()},
    }
    write_json(path_of(path), manifest)
    return path_of(path)


def load(path: str | Path, input_shape: tuple[int, ...] | None = None) -> IntegerNetwork:
    """Read a netx file and, where it stands beside it, its manifest.

    ``input_shape``: as of :func:`snnface.hardware.netx_files.read.read_net`.
    Raises :class:`InputError` where either is broken, or the manifest belongs to another file.
    """
    network = read_net(path, input_shape)
    if not path_of(path).is_file():
        return network
    content = read_json(path_of(path))
    try:
        if content["sha256"] != file_sha256(path):
            raise InputError(path_of(path), "belongs to another network file", "Export the network again")
        host = Host(
            int(content["step_us"]),
            float(content["tau_syn_us"]),
            str(content["input_mode"]),
            int(content["payload_one"]),
            int(content["payload_max"]),
            tuple(np.asarray(layer["scale"], np.float64) for layer in content["layers"]),
            {name: head(description) for name, description in content["heads"].items()},
        )
        names = [str(layer["name"]) for layer in content["layers"]]
        input_shape = tuple(int(n) for n in content["input_shape"])
    except (KeyError, TypeError, AttributeError) as e:
        raise InputError(path_of(path), f"lacks or garbles field {e}", "Export the network again") from e
    layers = (replace(layer, name=name) for layer, name in zip(network.layers, names, strict=True))
    return IntegerNetwork(input_shape, tuple(layers), host, network.warnings)


def variant(path: str | Path, mode: str) -> Path:
    """The netx file that takes input of ``mode``: this one or a variant beside it.

    A file without a manifest takes any mode. Raises :class:`InputError` where there is no such variant.
    """
    if not path_of(path).is_file():
        return Path(path)
    content = read_json(path_of(path))
    if content.get("input_mode") == mode:
        return Path(path)
    name = content.get("variants", {}).get(mode)
    if name is None:
        raise InputError(path, f"has no variant for {mode} input", "Export it again with snnface export")
    return Path(path).with_name(Path(name).name)
