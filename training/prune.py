"""Leaving out channels that spike nowhere: they drive nothing, and take neurons, memory and cores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from snnface import checkpoint as checkpoints
from snnface.encoder import Encoder, EncoderConfig
from snnface.errors import InputError
from snnface.hardware.quantising.grid import Grid, trained_grid
from snnface.progress import track
from snnface.training.clips import Clips
from snnface.training.quantised import rounding_run


def prune(
    checkpoint: Annotated[Path, typer.Argument(help="Trained weights, NAME.safetensors.")],
    data: Annotated[Path, typer.Argument(help="Data set (HDF5) on whose training clips channels are watched.")],
    out: Annotated[Path, typer.Option(help="The smaller checkpoint to write (NAME.safetensors).")],
    rate: Annotated[
        float, typer.Option(min=0, help="Leave out channels that spike in at most this fraction of their steps.")
    ] = 0.0,
) -> dict[str, Any]:
    """Leave out the channels of a trained network that stay silent on training clips.

    With --rate 0 its answers on those clips stay the same. Train with losses.cores to make channels silent. Example:

    snnface prune runs/small/best.safetensors train.h5 --out runs/small/pruned.safetensors
    """
    encoder, meta = checkpoints.load(checkpoint)
    grid = trained_grid(meta, checkpoint)
    live = [rates > rate for rates in channel_rates(encoder, Clips(data, "train"), grid)]
    for i, channels in enumerate(live):
        if not channels.any():
            raise InputError(f"layer {i + 1}", "has no channel above the rate", "Give a lower --rate")
    smaller = without(encoder, live)
    if grid is not None:
        meta = meta | {"quantise": _grid_without(grid, live).as_json()}
    checkpoints.save(out, smaller, meta | {"pruned": {"rate": rate, "channels": [len(x) for x in live]}})
    return {
        "checkpoint": str(out),
        "channels": [len(channels) for channels in live],
        "kept": [int(channels.sum()) for channels in live],
        "neurons": [encoder.to_network().neurons, smaller.to_network().neurons],
    }


@torch.no_grad()
def channel_rates(encoder: Encoder, clips: Clips, grid: Grid | None = None, batch: int = 16) -> list[Tensor]:
    """Mean rate of every channel of each spiking layer over clips, ``[C]``; 0 is silence throughout."""
    run = rounding_run(grid) if grid else None
    sums: list[Tensor] = []
    for indices in track(list(clips.in_order(batch)), "channels"):
        rates = [rate.sum(0) for rate in encoder(clips.events_batch(indices), run)[1].rates]
        sums = [a + b for a, b in zip(sums, rates, strict=True)] if sums else rates
    return [total / len(clips) for total in sums]


@torch.no_grad()
def without(encoder: Encoder, live: list[Tensor]) -> Encoder:
    """An encoder that has the ``live`` channels alone, bool ``[C]`` for each spiking layer."""
    config = encoder.config
    kept = [int(channels.sum()) for channels in live]
    content = config.model_dump()
    for i, conv in enumerate(content["conv"]):
        conv["channels"] = kept[i]
    for i, dense in enumerate(content["dense"], start=len(content["conv"])):
        dense["features"] = kept[i]
    smaller = Encoder(EncoderConfig.model_validate(content))
    before, state = encoder.state_dict(), {}
    everything = [torch.ones(n, dtype=torch.bool) for n in (2, len(before[f"synapses.{len(live)}.gain"]))]
    rows, columns = [*live, everything[1]], [everything[0], *live]
    for i, (row, column) in enumerate(zip(rows, columns, strict=True)):
        weight = before[f"synapses.{i}.weight"][row]
        norm = weight.flatten(1).norm(dim=1)
        # a dense layer behind a convolution takes its channels' positions in a row
        weight = weight.unflatten(1, (len(column), -1))[:, column].reshape(len(weight), -1, *weight.shape[2:])
        state[f"synapses.{i}.weight"] = weight
        state[f"synapses.{i}.gain"] = before[f"synapses.{i}.gain"][row] * weight.flatten(1).norm(dim=1) / norm
        own = f"neurons.{i}."
        state |= {name: value[row] for name, value in before.items() if name.startswith(own)}
    smaller.load_state_dict(state)
    return smaller.eval()


def _grid_without(grid: Grid, live: list[Tensor]) -> Grid:
    scales = [
        scale[channels.numpy()] if len(scale) > 1 else scale
        for scale, channels in zip(grid.scales, live, strict=False)
    ]
    return Grid(grid.bits, grid.input_mode, grid.steps, (*scales, *grid.scales[len(scales) :]))
