# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First steps
#
# The whole path in small: faces as events, a spiking encoder, its training, a network for the chip. Every command of
# `snnface` is a function of the same name; here all of it takes seconds, so the answers are as good as chance.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import snnface
from snnface import checkpoint
from snnface.datasets.faces import FaceEvents

folder = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Faces as events
#
# Nine clips of three people, split by person: one to learn from, one to choose on, one to test on.

# %%
made = snnface.synth(
    folder / "faces.h5", clips=9, identities=3, seconds=0.5, size="32x32", split="0.34,0.33,0.33", workers=1
)
made

# %% [markdown]
# A Tonic data set: an item is the events `(t, x, y, p)` and what is known of the clip, on one clock.

# %%
data = FaceEvents(folder / "faces.h5", rgb=True)
events, target = data[0]
print(events[:3], f"{len(events)} events", f"AU {target['au']}", sep="\n")

# %%
width, height, _ = data.sensor_size
net = np.zeros((height, width))
np.add.at(net, (events["y"], events["x"]), np.where(events["p"], 1, -1))
frame = len(target["rgb"]) // 2
left, right = plt.subplots(1, 2, figsize=(6, 3))[1]
left.imshow(target["rgb"][frame])
left.plot(*target["landmarks"][frame].T, "c.", markersize=2)
right.imshow(net, cmap="coolwarm", vmin=-3, vmax=3)
# %% [markdown]
# ## Training
#
# A recipe says everything; fields are changed by name. One pass over a handful of clips.

# %%
run = snnface.train(
    "student",
    set=[
        f"data.train={folder / 'faces.h5'}",
        "network.conv=[{channels=6}, {channels=8}]",
        "network.dense=[{features=16}]",
        "training.epochs=1",
        "training.batch=3",
    ],
    out=folder / "run",
)
run["metrics"]

# %% [markdown]
# ## What the encoder does
#
# A ragged batch of events goes in as it is; the spikes of every layer and the answers of every step come out. The
# native engine keeps spikes as bits, `dense` makes tensors of them.

# %%
encoder, _ = checkpoint.load(run["checkpoint"])
batch, _ = data.collate([data[i] for i in range(3)])
with torch.no_grad():
    answers, trace = encoder(batch)
trace = trace.dense()
print({name: tuple(a.shape) for name, a in answers.items()})
print("spike rates", [round(float(r.mean()), 3) for r in trace.rates])

# %%
raster = trace.spikes[-1][:, 0].flatten(1)
plt.figure(figsize=(6, 2))
plt.scatter(*raster.nonzero().T, s=3)
plt.xlabel("step")
plt.ylabel("neuron of the dense layer")
# %% [markdown]
# ## To the chip
#
# Eight-bit weights and integer neurons in Lava's file format. The same events as graded spikes run in the integer
# simulator, whose arithmetic is proven against Lava (`snnface verify`).

# %%
exported = snnface.export(Path(run["checkpoint"]), out=folder / "first.net", calibration=folder / "faces.h5")
exported

# %%
from snnface.backends import get

integer = get("fixed")(folder / "first.net", batch)
agree = [(a == torch.as_tensor(b)).float().mean().item() for a, b in zip(trace.spikes, integer.spikes, strict=True)]
print("the same spikes in float and in 8 bits:", [f"{a:.1%}" for a in agree])

# %%
snnface.profile(Path(run["checkpoint"]), data=folder / "faces.h5", chip=["loihi1"])["chips"][0]
