"""What the report shows beside figures: test clips with a network's answers, and a sheet of faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from snnface import checkpoint
from snnface.backends import get as get_backend
from snnface.converters.sensors import sensor
from snnface.converters.simulator import EventSimulator
from snnface.datasets.store import Store
from snnface.faces import ClipSpec, FaceClip
from snnface.faces.sheet import apex_time, onset_frames
from snnface.facs import AU_NAMES, AUS
from snnface.heads import at_times, decode
from snnface.network import Network
from snnface.progress import track
from snnface.report import Action, Pictures, Scene, Sheet
from snnface.training.clips import Clips

#: Pixels of a face on the sheet, and length (s) and strength of its actions.
SIZE, SECONDS, INTENSITY = 80, 1.6, 0.9
SCENES, PEOPLE = 12, 3


def collect(weights: Path, data: Path, scenes: int = SCENES, actions: Sequence[int] = AUS) -> Pictures:
    """Run a checkpoint on ``scenes`` test clips, evenly spread over the set, and film a sheet of test people."""
    network = checkpoint.load(weights)[0].to_network()
    clips = Clips(data, "test")
    store = Store(data)
    chosen = np.unique(np.linspace(0, len(clips) - 1, scenes).round().astype(int))
    shown = [scene(network, store, clips, int(i)) for i in track(list(chosen), "report: clips")]
    people = [int(p) for p in np.unique(clips.identity)[:PEOPLE]]
    layers = [layer.name for layer in network.layers if layer.spiking]
    return Pictures(shown, sheet(people, actions), layers, network.tau_syn_us)


def scene(network: Network, store: Store, clips: Clips, index: int) -> Scene:
    """One clip with the network's answers."""
    batch, targets = clips.batch([index])
    trace = get_backend("torch")(network, batch)
    answers = decode(trace.readout, network.heads)
    task, labels = ("au", clips.au) if clips.au[index] >= 0 else ("expression", clips.expression)
    logits = answers[task][:, 0]
    so_far = logits.cumsum(0) / torch.arange(1, len(logits) + 1)[:, None]
    landmarks = at_times(answers["landmarks"], targets.frame_clip, targets.frame_t_us, network.step_us)
    return Scene(
        task=task,
        truth=int(labels[index]),
        identity=int(clips.identity[index]),
        width=clips.width,
        height=clips.height,
        duration_us=int(clips.duration_us[index]),
        events=clips.events[index],
        frame_t_us=targets.frame_t_us.numpy(),
        rgb=[bytes(p) for p in encoded] if (encoded := store.encoded_rgb(int(clips.numbers[index]))) else None,
        landmarks=targets.landmarks.numpy(),
        answered_landmarks=landmarks.unflatten(1, (-1, 2)).numpy(),
        step_us=network.step_us,
        probabilities=so_far.softmax(1).numpy(),
        spikes=torch.stack([s[:, 0].flatten(1).mean(1) for s in trace.spikes], 1).numpy(),
    )


def sheet(people: Sequence[int], actions: Sequence[int] = AUS) -> Sheet:
    """Every action of some people: its apex and the events of its onset, strong, in one pose and light a person."""
    rest = [FaceClip(_spec(who, -1)).rgb(0) for who in people]
    filmed = []
    for au in track(list(actions), "report: faces"):
        faces = [FaceClip(_spec(who, au), INTENSITY) for who in people]
        filmed.append(
            Action(f"AU{au} {AU_NAMES[au]}", [f.rgb(apex_time(f)) for f in faces], [_events(f) for f in faces])
        )
    return Sheet(list(people), rest, filmed)


def _spec(who: int, au: int) -> ClipSpec:
    return ClipSpec(who, au, -1, SECONDS, SIZE, SIZE, seed=who)


def _events(face: FaceClip) -> np.ndarray:
    simulator = EventSimulator(SIZE, SIZE, sensor("davis346"), seed=face.spec.seed)
    return np.concatenate([simulator.step(light, t) for light, t in zip(*onset_frames(face), strict=True)])
