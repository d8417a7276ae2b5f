"""``snnface export --to nir``: the file, its manifest and its certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snnface import __version__
from snnface.errors import InputError
from snnface.files import file_sha256, write_json
from snnface.hardware.heads_file import described
from snnface.hardware.nir_files.readers import installed
from snnface.hardware.nir_files.write import DT, notes, refusals, write, written
from snnface.network import Network

#: Steps of random spikes on which an export is compared.
_STEPS = 32


def export_nir(out: Path, network: Network, source: Path) -> dict[str, Any]:
    """Write a network as NIR with its manifest (``NAME.nir.json``) and, where importers are installed, its
    certificate (``NAME.nir.certificate.json``). The answer of the command.

    ``readers`` of the answer: differing spikes of each importer, or why it cannot read the file. Raises
    :class:`snnface.cli.Found` where the network cannot be said.
    """
    from snnface.cli import Found

    if out.suffix != ".nir":
        raise InputError("--out", f"names a {out.suffix or 'nameless'} file", "Give a name like model.nir")
    if not network.layers or source == out:
        raise InputError("--out", "names the file that is read", "Give another name")
    manifest, refused = Path(f"{out}.json"), refusals(network)
    empty = {"file": None, "manifest": None, "certificate": None, "refused": refused}
    if refused:
        raise Found(empty | {"layers": 0, "neurons": 0, "synapses": 0})
    write(out, network)
    found = _certificates(out)
    certificate = Path(f"{out}.certificate.json") if found else None
    if certificate is not None:
        write_json(certificate, found)
    said = written(network)
    write_json(
        manifest,
        {
            "snnface": __version__,
            "format": "NIR",
            "sha256": file_sha256(out),
            "source": {
                "file": source.name,
                "sha256": file_sha256(source.with_suffix(source.suffix or ".safetensors")),
            },
            "dt": DT,
            "step_us": network.step_us,
            "tau_syn_us": network.tau_syn_us,
            "input_shape": list(network.input_shape),
            "input_mode": network.input_mode,
            "payload_one": network.payload_one,
            "payload_max": network.payload_max,
            "reset": {"to": "zero"},
            "latency_steps": 0,
            "notes": notes(network),
            "layers": [
                {"name": x.name, "kind": x.kind, "spiking": x.spiking, "neurons": x.neurons} for x in said.layers
            ],
            "heads": {name: described(head) for name, head in network.heads.items()},
            "certificate": None if certificate is None else certificate.name,
        },
    )
    return empty | {
        "file": str(out),
        "manifest": str(manifest),
        "certificate": None if certificate is None else str(certificate),
        "layers": len(network.layers),
        "neurons": network.neurons,
        "synapses": sum(layer.weight.size for layer in network.layers),
        "readers": {name: x.get("differing_spikes", x["found"]) for name, x in found.items()},
        "notes": notes(network),
    }


def _certificates(out: Path) -> dict[str, dict[str, Any]]:
    """A comparison with every importer that is installed, on random spikes."""
    from snnface.hardware.verifying.nir import against_reader

    found = {}
    for reader in installed():
        try:
            certificate, _ = against_reader(out, reader, clips=1, steps=_STEPS)
            found[reader] = certificate | {"network": out.name}
        except InputError as e:
            found[reader] = {"against": f"nir:{reader}", "passed": False, "found": [f"{e.where} {e.what}"]}
    return found
