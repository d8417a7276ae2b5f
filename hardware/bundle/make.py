"""Make a bundle: network, manifest, certificate, NIR, heads, model card, and the programs that run it anywhere."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from importlib.metadata import files as installed_files
from importlib.resources import as_file
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np

from snnface import __version__
from snnface.cli import Found
from snnface.errors import InputError
from snnface.facs import AU_NAMES, AUS, EXPRESSIONS
from snnface.files import file_sha256, read_json, write_json, write_text
from snnface.hardware.bundle import card, facts
from snnface.hardware.bundle.reference import Reference, choose, write_expected
from snnface.hardware.exporting import Source
from snnface.hardware.inputs import Clips
from snnface.hardware.integers.fixed_point import payloads
from snnface.hardware.netx_files import manifest
from snnface.live import HEAD_SIZES

SUMS = "SHA256SUMS"
#: Seconds that Lava may take for the certificate.
_LAVA_LIMIT_S = 1800


def make(folder: Path, source: Source) -> dict[str, Any]:
    """Write the bundle of a network; the folder appears whole or not at all.

    Clips of its calibration set are counted for the energy, and one of them is the reference recording where the set
    is synthetic. Raises :class:`InputError` where the folder holds something else, :class:`Found` where the network
    cannot be expressed or Lava computes otherwise.
    """
    with _new_folder(folder) as new:
        net, calibration = new / "network.net", source.calibration
        answer = source.write(net)
        variants = read_json(manifest.path_of(net))["variants"]
        names = {read_json(manifest.path_of(net))["input_mode"]: net.name} | variants
        networks = {mode: manifest.load(new / name) for mode, name in names.items()}
        network = networks[next(iter(networks))]
        reference = choose(calibration, network.input_shape)
        reference.save(new / "reference.h5")
        write_expected(new / "expected.h5", networks, reference.batch())
        _answers(net, new / "reference.h5", new / "expected.jsonl")
        write_json(new / "heads.json", _heads(read_json(manifest.path_of(net))["heads"]))
        known: dict[str, Any] = {
            "snnface": __version__,
            "networks": names,
            "reference": reference.about,
            "certificate": _certificate(new, net, reference),
            "nir": _nir(new, source),
            "checkpoint": facts.of_checkpoint(source.path),
            "calibration": calibration and facts.of_data(calibration, source.clips, source.path),
            "profile": calibration and facts.of_work(network, net, calibration),
            "layers": answer["layers"],
            "neurons": answer["neurons"],
            "synapses": answer["synapses"],
            "bits": read_json(manifest.path_of(net))["source"].get("bits", 8),
            "step_us": network.host.step_us if network.host else None,
            "input_shape": list(network.input_shape),
        }
        write_json(new / "bundle.json", known)
        _programs(new)
        write_text(new / "README.md", card.text(known, read_json(new / "heads.json")))
        count = write_sums(new)
    found = answer | {name: str(folder / Path(answer[name]).name) for name in ("file", "manifest")}
    found["variants"] = {mode: str(folder / name) for mode, name in variants.items()}
    found |= {"bundle": str(folder), "files": count, "reference": reference.about}
    found |= {"certificate": known["certificate"], "nir": known["nir"]}
    if known["certificate"].get("differing"):
        raise Found(found)
    return found


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` that takes its place at the end; an older bundle there goes, anything else stays."""
    old = folder.exists()
    if old and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / "bundle.json").is_file())):
        raise InputError(folder, "exists and is not a bundle", "Name another folder, or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as e:
        raise InputError(folder, f"cannot be created: {e.strerror}", "Choose a writable folder") from e
    try:
        yield new
        new.chmod(0o755)
        if old:
            shutil.rmtree(folder)
        os.replace(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _answers(net: Path, recording: Path, out: Path) -> None:
    """What ``snnface run`` answers at every step."""
    from snnface.commands import run

    run(net, str(recording), out=out)


def _heads(heads: dict[str, Any]) -> dict[str, Any]:
    """The manifest's heads with the names of their classes, where they have the size that names are known for."""
    sizes = {name: head["stop"] - head["start"] for name, head in heads.items()}
    known = {name for name, size in sizes.items() if size in HEAD_SIZES.get(name, ())}
    named = {name: dict(head) for name, head in heads.items()}
    if "au" in known:
        named["au"]["classes"] = [{"au": au, "name": AU_NAMES[au]} for au in AUS]
    if "expression" in known:
        named["expression"]["classes"] = list(EXPRESSIONS)
    if "landmarks" in known:
        named["landmarks"]["points"] = sizes["landmarks"] // 2
    return named


def _certificate(folder: Path, net: Path, reference: Reference) -> dict[str, Any]:
    """Compare with real Lava on the reference recording; without Lava say so."""
    from snnface.hardware.lava.process import installed
    from snnface.hardware.verifying.verify import against_lava

    if None in installed().values():
        return {"file": None, "why": "Lava was not installed where this bundle was made"}
    network = manifest.load(net)
    x = np.concatenate([block.astype(np.int32) for block in payloads(network, reference.batch())]).swapaxes(0, 1)
    mode = network.host.input_mode if network.host else "unary"
    certificate, _ = against_lava(net, Clips(x, reference.about, mode), _LAVA_LIMIT_S)
    certificate["network"] = net.name
    write_json(folder / "certificate.json", certificate)
    differing = {f"differing_{k}": certificate[f"differing_{k}"] for k in ("spikes", "u", "v")}
    steps = {k: certificate[k] for k in ("against", "steps", "passed", "found")}
    return {"file": "certificate.json"} | steps | differing | {"differing": any(differing.values())}


def _nir(folder: Path, source: Source) -> dict[str, Any]:
    """The float network as NIR, where it can be said."""
    try:
        answer = source.write(folder / "network.nir", "nir")
    except InputError as e:
        return {"file": None, "why": f"{e.where} {e.what}"}
    except Found as e:
        return {"file": None, "why": "; ".join(map(str, e.answer.get("refused", [])))}
    return {"file": "network.nir", "readers": answer.get("readers", {})}


def _programs(folder: Path) -> None:
    """The runner, Lava's import patches and recorder, and the licence."""
    package = resources("snnface.hardware")
    for source, target in (("bundle/runner", "runner"), ("lava/record", "runner/record")):
        with as_file(package.joinpath(source)) as found:
            shutil.copytree(found, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
    with as_file(package.joinpath("lava/shims.py")) as found:
        shutil.copy(found, folder / "runner" / "shims.py")
    (folder / "runner" / "run.py").rename(folder / "run.py")
    try:
        licence = next(f for f in installed_files("snnface") or () if f.name == "LICENSE")
        shutil.copy(Path(str(licence.locate())), folder / "LICENSE")
    except (StopIteration, PackageNotFoundError, OSError):
        pass  # the card and the programs name it


def write_sums(folder: Path) -> int:
    """Write the checksums of all files; returns the number of them all."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    names = sorted(p.relative_to(folder).as_posix() for p in found)
    lines = [f"{file_sha256(folder / name)}  {name}\n" for name in names]
    write_text(folder / SUMS, "".join(lines))
    return len(names) + 1
