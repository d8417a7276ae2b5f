"""Commands of the hardware room: export, simulate, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from snnface.errors import InputError
from snnface.files import file_sha256, write_json


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Trained weights, NAME.safetensors.")],
    out: Annotated[Path | None, typer.Option(help="The network file to write (NAME.net).")] = None,
    to: Annotated[str, typer.Option(help="The format: lava.")] = "lava",
    calibration: Annotated[
        Path | None, typer.Option(help="A data set whose clips bound the currents (no labels are read).")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="How many clips to calibrate on.")] = 32,
    bundle: Annotated[
        Path | None, typer.Option(help="Instead of --out: a folder with all that runs the network elsewhere.")
    ] = None,
) -> dict[str, Any]:
    """Quantise a checkpoint to 8 bits and write it for Lava: NAME.net (graded input) and NAME.unary.net.

    Each has its manifest beside it (NAME.net.json). Example:

    snnface export out/demo/model.safetensors --out out/demo/model.net --calibration out/demo/train.h5
    """
    if bundle is not None:
        from snnface.hardware.bundle.make import make

        return make(
            bundle,
            checkpoint,
            calibration,
            clips,
            lambda file, form: export(checkpoint, file, form, calibration, clips),
        )
    if out is None:
        raise InputError("snnface export", "has no file to write", "Add --out NAME.net or --bundle FOLDER")
    from snnface import checkpoint as checkpoints
    from snnface.hardware import manifest
    from snnface.hardware.inputs import read_clips
    from snnface.hardware.quantise import quantise, refusals

    if to != "lava":
        raise InputError("--to", f"does not know the format '{to}'", "Use --to lava")
    if out.suffix in (".json", ".safetensors"):
        raise InputError("--out", f"names a {out.suffix} file", "Give a name like model.net")
    network = checkpoints.load(checkpoint)[0].to_network()
    answer: dict[str, Any] = {"file": str(out), "manifest": str(manifest.path_of(out)), "refused": refusals(network)}
    if answer["refused"]:
        from snnface.cli import Found

        raise Found(answer | {"file": None, "manifest": None, "layers": 0, "neurons": 0, "synapses": 0})
    batch = read_clips(calibration, clips, split=0) if calibration else None
    source: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": file_sha256(checkpoint.with_suffix(".safetensors")),
        "calibration_sha256": file_sha256(calibration) if calibration else None,
    }
    primary = "unary" if network.input_mode == "unary" else "graded"
    variants = {} if primary == "unary" else {"unary": out.with_suffix(f".unary{out.suffix}").name}
    networks = {mode: quantise(network, batch, mode) for mode in (primary, *variants)}
    for mode, name in variants.items():
        manifest.save(out.with_name(name), networks[mode], source)
    manifest.save(out, networks[primary], source, variants)
    result = networks[primary]
    return answer | {
        "layers": len(result.layers),
        "neurons": result.neurons,
        "synapses": result.synapses,
        "variants": {mode: str(out.with_name(name)) for mode, name in variants.items()},
    }


def simulate(
    net: Annotated[Path, typer.Argument(help="A netx file.")],
    spikes: Annotated[Path, typer.Argument(help="Input array [T, C, H, W] or [T, N] (.npy): spikes or payloads.")],
    out: Annotated[Path, typer.Option(help="Traces to write (.h5): layer/i/{s,u,v}.")],
    reset_interval: Annotated[int | None, typer.Option(min=1, help="netx's reset_interval; none by default.")] = None,
    reset_offset: Annotated[int, typer.Option(min=0, help="netx's reset_offset.")] = 1,
) -> dict[str, Any]:
    """Simulate a netx file in Lava's arithmetic and timing: every spike, current and voltage.

    A layer sees the spikes that the one before it sent a step earlier. Example:

    snnface simulate model.net spikes.npy --out traces.h5
    """
    from snnface.hardware.inputs import read_spikes
    from snnface.hardware.netx import read_net
    from snnface.hardware.traces import write_traces

    if net.suffix == ".nir":
        raise InputError(net, "is a NIR file, and only netx files are simulated", "Export the network with --to lava")
    network = read_net(net)
    x = read_spikes(spikes, network.input_shape)
    counts, wraps = write_traces(out, network, x, reset_interval, reset_offset)
    return {"layers": len(network.layers), "spikes": counts, "steps": len(x), "wraps": wraps, "out": str(out)}


def verify(
    network: Annotated[Path, typer.Argument(metavar="NET|CHECKPOINT", help="A netx file or trained weights.")],
    against: Annotated[str, typer.Option(help="lava, snntorch, norse or golden:FILE.")] = "lava",
    data: Annotated[Path | None, typer.Option(help="DATA.h5 or SPIKES.npy; random spikes without it.")] = None,
    clips: Annotated[int, typer.Option(min=1, help="Number of clips.")] = 3,
    input_mode: Annotated[
        Literal["graded", "unary"] | None,
        typer.Option("--input", help="Input of the chip; default: the network's own."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Certificate to write (.json).")] = None,
    record: Annotated[Path | None, typer.Option(help="Also keep Lava's recording as a golden file.")] = None,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds that Lava may take.")] = 1800,
    seed: Annotated[int, typer.Option(help="Seed of the random spikes.")] = 0,
) -> dict[str, Any]:
    """Run a network in two implementations and compare every spike, current and voltage.

    A netx file runs in our integer simulator and in Lava's fixed-point simulation, a checkpoint in our float64
    reference and in snnTorch or Norse. Exit code 1 where something differs, or a layer hardly spikes. Example:

    snnface verify out/demo/model.net --against lava --data out/demo/test.h5 --out out/demo/certificate.json
    """
    from snnface.cli import Found
    from snnface.hardware import inputs, manifest
    from snnface.hardware import verify as v

    is_checkpoint = network.suffix == ".safetensors"
    if against in ("snntorch", "norse"):
        if not is_checkpoint:
            raise InputError(
                network, f"is not a checkpoint, which --against {against} needs", "Give NAME.safetensors"
            )
        from snnface.hardware.verify_float import against_float

        certificate, found = against_float(network, against, data, clips)
    elif against.startswith("golden:"):
        if is_checkpoint:
            raise InputError(network, "is a checkpoint, golden files belong to a netx file", "Give NAME.net")
        certificate, found = v.against_golden(network, Path(against.removeprefix("golden:")))
    elif against == "lava":
        with v.network_file(network, input_mode, data, clips) as net:
            taken = inputs.chip_input(manifest.load(net), data, clips, input_mode, seed, net)
            certificate, found = v.against_lava(net, taken, time_limit, record)
    else:
        raise InputError("--against", f"does not know '{against}'", "Use lava, snntorch, norse or golden:FILE")
    if out is not None:
        write_json(out, certificate)
    if found:
        raise Found(certificate)
    return certificate
