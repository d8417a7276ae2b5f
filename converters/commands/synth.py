"""``snnface synth``."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from snnface.converters.plan import Plan
from snnface.converters.sensors import SENSORS
from snnface.converters.synth import synthesise
from snnface.errors import InputError
from snnface.faces.variation import SCENES, Variation
from snnface.io import parse_size

_SETTINGS = [field.name for field in dataclasses.fields(Variation)]


def synth(
    out: Annotated[Path, typer.Argument(help="Data set to write (HDF5).", show_default=False)],
    clips: Annotated[int, typer.Option(help="Number of clips.", show_default=False)],
    identities: Annotated[int, typer.Option(help="Number of people.")] = 10,
    seconds: Annotated[float, typer.Option(help="Mean length of a clip, s.")] = 2.5,
    size: Annotated[str, typer.Option(help="Sensor, WIDTHxHEIGHT pixels.")] = "128x128",
    sensor: Annotated[str, typer.Option(help=f"Sensor preset: {', '.join(SENSORS)}.")] = "davis346",
    sensor_spread: Annotated[
        float,
        typer.Option(help="Draw each clip's thresholds, bandwidth and noise up to so many times around the preset."),
    ] = 1.0,
    face: Annotated[str, typer.Option(help="Face model: procedural, ict:PATH or linear:PATH.")] = "procedural",
    tasks: Annotated[
        str, typer.Option(help="au, expression or both; free: drawn components, for a linear face without actions.")
    ] = "au,expression",
    scene: Annotated[
        str, typer.Option(help=f"What is around the faces and how they are held: {', '.join(SCENES)}.")
    ] = "plain",
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help=f"Change one setting of the scene: {', '.join(_SETTINGS)}."),
    ] = None,
    rgb: Annotated[bool, typer.Option(help="Store paired RGB at 30 frames/s.")] = True,
    workers: Annotated[int, typer.Option(help="Processes; 0 = all cores.")] = 0,
    shard_clips: Annotated[
        int, typer.Option(help="Keep files of so many clips in OUT.shards, for large sets; 0 = one file.")
    ] = 0,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler whose workers make the clips.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the content, whatever the workers.")] = 0,
    first_identity: Annotated[int, typer.Option(help="Number of the first person.")] = 0,
    split: Annotated[str, typer.Option(help="Fractions of people: train,validation,test.")] = "0.7,0.15,0.15",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
) -> dict[str, Any]:
    """Make labelled synthetic faces as events (and paired RGB).

    Example: snnface synth faces.h5 --clips 310 --identities 10 --seconds 1.2 --size 64x64

    Light that moves, glasses, hands in front: snnface synth hard.h5 --clips 310 --scene varied --vary flicker=0.5

    To learn for any sensor: snnface synth any.h5 --clips 3100 --identities 500 --scene varied --sensor-spread 2.5

    Real morphable faces by path: snnface synth ict.h5 --clips 310 --face ict:ICT-FaceKit/FaceXModel
    """
    pixels = parse_size(size)
    assert pixels is not None
    plan = Plan(
        clips=clips,
        identities=identities,
        seconds=seconds,
        width=pixels[0],
        height=pixels[1],
        sensor=sensor,
        tasks=tuple(tasks.split(",")),
        rgb=rgb,
        seed=seed,
        first_identity=first_identity,
        split=_fractions(split),
        face=face,
        scene=scene,
        vary=tuple(_setting(text) for text in vary or ()),
        sensor_spread=sensor_spread,
    )
    return synthesise(out, plan, workers or os.cpu_count() or 1, resume, shard_clips, cluster)


def _setting(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise InputError(f"--vary {text}", "is not NAME=VALUE", "Write for example flicker=0.5") from None


def _fractions(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(f) for f in text.split(","))
    except ValueError:
        raise InputError(f"--split {text}", "is not three fractions", "Write for example 0.7,0.15,0.15") from None
    return train, validation, test
