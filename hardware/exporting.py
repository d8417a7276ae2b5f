"""What ``snnface export`` writes of a network: a netx file in the chip's integers, or NIR."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnface.cli import Found
from snnface.errors import InputError
from snnface.files import file_sha256
from snnface.hardware.inputs import read_clips
from snnface.hardware.netx_files import manifest
from snnface.hardware.nir_files.export import export_nir
from snnface.hardware.opening import open_float
from snnface.hardware.quantising.grid import check_bits
from snnface.hardware.quantising.quantise import refusals
from snnface.hardware.verifying.verify import certify


@dataclass(frozen=True)
class Source:
    """A checkpoint or a NIR file, and how it becomes integers: on ``clips`` of ``calibration``, with weights of
    ``bits`` (None: as trained, else 8); ``semantics`` of a NIR file."""

    path: Path
    calibration: Path | None = None
    clips: int = 32
    bits: int | None = None
    semantics: str | None = None

    def write(self, out: Path | None, to: str = "lava", certified: bool = False) -> dict[str, Any]:
        """Write one file, for "lava" (``certified``: with its certificate) or "nir"; the answer of the command.

        Raises :class:`snnface.cli.Found` where the format cannot express the network.
        """
        if out is None:
            raise InputError("snnface export", "has no file to write", "Add --out NAME.net or --bundle FOLDER")
        if to not in ("lava", "nir"):
            raise InputError("--to", f"does not know the format '{to}'", "Use --to lava or --to nir")
        if out.suffix in (".json", ".safetensors"):
            raise InputError("--out", f"names a {out.suffix} file", "Give a name like model.net")
        if to == "nir":
            return export_nir(out, open_float(self.path, self.semantics).network, self.path)
        return self._netx(out) | {"certificate": str(certify(out)) if certified else None}

    def _netx(self, out: Path) -> dict[str, Any]:
        """The network's own input in ``out``; where that has payloads, spikes alone in NAME.unary.net beside it."""
        plain = open_float(self.path, self.semantics, biases=True)
        check_bits(bits := plain.bits if self.bits is None else self.bits)
        answer = {"file": str(out), "manifest": str(manifest.path_of(out)), "refused": refusals(plain.network)}
        if answer["refused"]:
            raise Found(answer | {"file": None, "manifest": None, "layers": 0, "neurons": 0, "synapses": 0})
        batch = read_clips(self.calibration, self.clips, split=0) if self.calibration else None
        made_from = {
            "checkpoint": self.path.name,
            "checkpoint_sha256": file_sha256(self.path.with_suffix(self.path.suffix or ".safetensors")),
            "calibration_sha256": file_sha256(self.calibration) if self.calibration else None,
            "bits": bits,
            "trained_in_chip_numbers": plain.grid is not None and plain.grid.bits == bits,
        }
        primary = "unary" if plain.network.input_mode == "unary" else "graded"
        variants = {} if primary == "unary" else {"unary": out.with_suffix(f".unary{out.suffix}")}
        networks = {mode: plain.quantised(batch, mode, bits) for mode in (primary, *variants)}
        for mode, file in variants.items():
            manifest.save(file, networks[mode], made_from)
        result = networks[primary]
        manifest.save(out, result, made_from, {mode: file.name for mode, file in variants.items()})
        counts = {"layers": len(result.layers), "neurons": result.neurons, "synapses": result.synapses}
        return answer | counts | {"variants": {mode: str(file) for mode, file in variants.items()}}
