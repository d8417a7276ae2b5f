"""Commands of the hardware room: export, simulate, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from snnface.files import write_json


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
    from snnface.hardware.exporting import Source

    source = Source(checkpoint, calibration, clips, bits, semantics)
    if bundle is not None:
        from snnface.hardware.bundle.make import make

        return make(bundle, source)
    return source.write(out, to, certify)


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
    from snnface.hardware.integers.traces import simulate_file

    return simulate_file(net, spikes, out, reset_interval, reset_offset, dt, semantics)


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
    step_us: Annotated[
        int | None,
        typer.Option(min=1, help="Of a netx file without a manifest: the step of events; 1000 by default."),
    ] = None,
) -> dict[str, Any]:
    """Run a network in two implementations and compare every spike, current and voltage.

    A netx file runs in our integer simulator and in Lava's fixed-point simulation, a checkpoint in our float64
    reference and in snnTorch or Norse, a NIR file (or a checkpoint, as it is exported) in our float64 simulation and
    in the network that another library's NIR importer (nir:…) makes of it. Exit code 1 where something differs, or a
    layer hardly spikes; the certificate names layer, step and neuron of the first difference. A netx file of another
    program needs no manifest: its input has the shape of the data, a pixel's events in a step are one spike. Example:

    snnface verify out/demo/model.net --against lava --data out/demo/test.h5 --out out/demo/certificate.json
    """
    from snnface.cli import Found
    from snnface.hardware.verifying.verify import verify as verified

    certificate, found = verified(
        network, against, data, clips, input_mode, record, time_limit, seed, semantics, step_us
    )
    if out is not None:
        write_json(out, certificate)
    if found:
        raise Found(certificate)
    return certificate
