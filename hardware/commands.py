"""Commands of the hardware room: export, simulate, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from snnface.errors import InputError
from snnface.files import file_sha256, write_json


def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="Trained weights, NAME.safetensors (or a NIR file, NAME.nir)."),
    ],
    out: Annotated[Path | None, typer.Option(help="The network file to write (NAME.net).")] = None,
    to: Annotated[str, typer.Option(help="The format: lava, or nir for other libraries.")] = "lava",
    calibration: Annotated[
        Path | None, typer.Option(help="A data set whose clips bound the currents (no labels are read).")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="How many clips to calibrate on.")] = 32,
    bits: Annotated[
        int | None, typer.Option(help="Bits of a weight, 2 to 8; those it was trained with, else 8.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Instead of --out: a folder with all that runs the network elsewhere.")
    ] = None,
    semantics: Annotated[
        str | None, typer.Option(help="Of a NIR file: who wrote it, like snntorch or norse,dt=1e-3 (docs/nir.md).")
    ] = None,
    certify: Annotated[
        bool, typer.Option("--certify", help="Run the file in Lava on random input: NAME.net.certificate.json.")
    ] = False,
) -> dict[str, Any]:
    """Quantise a checkpoint and write it for Lava: NAME.net (graded input) and NAME.unary.net.

    Each has its manifest beside it (NAME.net.json). A checkpoint trained in the chip's numbers keeps the scales that
    it was trained with; any other is calibrated, to 8 bits or --bits. Example:

    snnface export out/demo/model.safetensors --out out/demo/model.net --calibration out/demo/train.h5

    --to nir writes the float network for snnTorch, Norse and others, with a manifest and a certificate that runs the
    importers that are installed.

    --bundle writes a folder that goes to other machines: networks, NIR, certificate, model card, and a program that
    runs them with numpy and h5py alone (docs/bundle.md).
    """
    if bundle is not None:
        from snnface.hardware.bundle.make import make

        return make(
            bundle,
            checkpoint,
            calibration,
            clips,
            lambda file, form: export(checkpoint, file, form, calibration, clips, bits, semantics=semantics),
        )
    if out is None:
        raise InputError("snnface export", "has no file to write", "Add --out NAME.net or --bundle FOLDER")
    from snnface import checkpoint as checkpoints
    from snnface.hardware import manifest
    from snnface.hardware import verify as verification
    from snnface.hardware.grid import check_bits, trained_grid
    from snnface.hardware.inputs import read_clips
    from snnface.hardware.nir_files.biases import with_biases
    from snnface.hardware.quantise import quantise, refusals

    if to not in ("lava", "nir"):
        raise InputError("--to", f"does not know the format '{to}'", "Use --to lava or --to nir")
    if out.suffix in (".json", ".safetensors"):
        raise InputError("--out", f"names a {out.suffix} file", "Give a name like model.net")
    biases: dict[str, Any] = {}
    if checkpoint.suffix == ".nir":
        from snnface.hardware.nir_files import read

        network, trained = read(checkpoint, semantics, biases=biases if to == "lava" else None), None
    else:
        encoder, meta = checkpoints.load(checkpoint)
        network, trained = encoder.to_network(), trained_grid(meta, checkpoint)
    if to == "nir":
        from snnface.hardware.nir_files.export import export_nir

        return export_nir(out, network, checkpoint)
    bits = bits if bits is not None else trained.bits if trained else 8
    check_bits(bits)
    answer: dict[str, Any] = {"file": str(out), "manifest": str(manifest.path_of(out)), "refused": refusals(network)}
    if answer["refused"]:
        from snnface.cli import Found

        raise Found(answer | {"file": None, "manifest": None, "layers": 0, "neurons": 0, "synapses": 0})
    batch = read_clips(calibration, clips, split=0) if calibration else None
    source: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": file_sha256(checkpoint.with_suffix(checkpoint.suffix or ".safetensors")),
        "calibration_sha256": file_sha256(calibration) if calibration else None,
        "bits": bits,
        "trained_in_chip_numbers": trained is not None and trained.bits == bits,
    }
    primary = "unary" if network.input_mode == "unary" else "graded"
    variants = {} if primary == "unary" else {"unary": out.with_suffix(f".unary{out.suffix}").name}
    networks = {
        mode: with_biases(quantise(network, batch, mode, bits, trained), biases) for mode in (primary, *variants)
    }
    for mode, name in variants.items():
        manifest.save(out.with_name(name), networks[mode], source)
    manifest.save(out, networks[primary], source, variants)
    result = networks[primary]
    return answer | {
        "layers": len(result.layers),
        "neurons": result.neurons,
        "synapses": result.synapses,
        "variants": {mode: str(out.with_name(name)) for mode, name in variants.items()},
        "certificate": str(verification.certify(out)) if certify else None,
    }


def simulate(
    net: Annotated[Path, typer.Argument(help="A netx file, or a NIR file.")],
    spikes: Annotated[Path, typer.Argument(help="Input array [T, C, H, W] or [T, N] (.npy): spikes or payloads.")],
    out: Annotated[Path, typer.Option(help="Traces to write (.h5): layer/i/{s,u,v}.")],
    reset_interval: Annotated[int | None, typer.Option(min=1, help="netx's reset_interval; none by default.")] = None,
    reset_offset: Annotated[int, typer.Option(min=0, help="netx's reset_offset.")] = 1,
    dt: Annotated[
        float | None, typer.Option(help="Of a NIR file: seconds a step; default: what the file says.")
    ] = None,
    semantics: Annotated[
        str | None, typer.Option(help="Of a NIR file: who wrote it, like snntorch or norse,dt=1e-3 (docs/nir.md).")
    ] = None,
) -> dict[str, Any]:
    """Simulate a netx file in Lava's arithmetic and timing: every spike, current and voltage.

    A layer sees the spikes that the one before it sent a step earlier. A NIR file runs in float64 on float input, and
    no layer lags. Examples:

    snnface simulate model.net spikes.npy --out traces.h5

    snnface simulate model.nir input.npy --dt 1e-4 --out traces.h5
    """
    from snnface.hardware.inputs import read_spikes, shape_of
    from snnface.hardware.netx import read_net
    from snnface.hardware.traces import write_traces

    if net.suffix == ".nir":
        from snnface.hardware.nir_files.simulate import simulate_file

        if reset_interval is not None:
            raise InputError(net, "is a NIR file, which starts at rest once", "Leave --reset-interval out")
        return simulate_file(net, spikes, out, semantics, dt)
    if dt is not None or semantics is not None:
        raise InputError(net, "is a netx file, whose steps have no length", "Leave --dt and --semantics out")
    network = read_net(net, shape_of(spikes))
    x = read_spikes(spikes, network.input_shape)
    counts, wraps = write_traces(out, network, x, reset_interval, reset_offset)
    answer = {"layers": len(network.layers), "spikes": counts, "steps": len(x), "wraps": wraps}
    return answer | {"warnings": list(network.warnings), "out": str(out)}


def verify(
    network: Annotated[
        Path, typer.Argument(metavar="NET|CHECKPOINT", help="A netx file, trained weights or a NIR file.")
    ],
    against: Annotated[
        str,
        typer.Option(help="lava, snntorch, norse, golden:FILE, or nir:snntorch, nir:norse, nir:spikingjelly."),
    ] = "lava",
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
    semantics: Annotated[
        str | None, typer.Option(help="Of a NIR file: who wrote it, like snntorch or norse,dt=1e-3 (docs/nir.md).")
    ] = None,
) -> dict[str, Any]:
    """Run a network in two implementations and compare every spike, current and voltage.

    A netx file runs in our integer simulator and in Lava's fixed-point simulation, a checkpoint in our float64
    reference and in snnTorch or Norse, a NIR file (or a checkpoint, as it is exported) in our float64 simulation and
    in the network that another library's NIR importer (nir:…) makes of it. Exit code 1 where something differs, or a
    layer hardly spikes; the certificate names layer, step and neuron of the first difference. Example:

    snnface verify out/demo/model.net --against lava --data out/demo/test.h5 --out out/demo/certificate.json
    """
    from snnface.cli import Found
    from snnface.hardware import inputs, manifest
    from snnface.hardware import verify as v

    is_checkpoint = network.suffix == ".safetensors"
    if against.startswith("nir:"):
        from snnface.hardware.verify_nir import against_reader, nir_file

        if not is_checkpoint and network.suffix != ".nir":
            raise InputError(network, f"is not a network that --against {against} takes", "Give a checkpoint or .nir")
        with nir_file(network, v.float_network(network) if is_checkpoint else None) as file:
            certificate, found = against_reader(file, against.removeprefix("nir:"), data, clips, semantics, seed=seed)
    elif against in ("snntorch", "norse"):
        if not is_checkpoint and network.suffix != ".nir":
            raise InputError(
                network, f"is not a checkpoint, which --against {against} needs", "Give NAME.safetensors or NAME.nir"
            )
        from snnface.hardware.verify_float import against_float

        certificate, found = against_float(network, v.float_network(network, semantics), against, data, clips)
    elif against.startswith("golden:"):
        if is_checkpoint or network.suffix == ".nir":
            raise InputError(network, "is no netx file, and golden files belong to one", "Give NAME.net")
        certificate, found = v.against_golden(network, Path(against.removeprefix("golden:")))
    elif against == "lava":
        with v.network_file(network, input_mode, data, clips, semantics) as net:
            taken = inputs.chip_input(manifest.load(net), data, clips, input_mode, seed, net)
            certificate, found = v.against_lava(net, taken, time_limit, record)
    else:
        known = "lava, snntorch, norse, golden:FILE or nir:READER"
        raise InputError("--against", f"does not know '{against}'", f"Use {known}")
    if out is not None:
        write_json(out, certificate)
    if found:
        raise Found(certificate)
    return certificate
