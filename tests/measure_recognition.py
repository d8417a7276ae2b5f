"""Is an action the same to look at on every kind of face? A small RGB classifier names it on faces it never saw.

    M="python tests/measure_recognition.py"; ICT="--face ict:FaceXModel"; NEW="--people 20 --first 100000 --each 24"
    snnface synth learn.h5 --clips 3960 --identities 1320 --seconds 1.2 --scene varied --vary flicker=0.05 --seed 2
    $M make ict.npz $ICT --people 200 --each 6 --seed 14
    $M make own_test.npz $NEW --seed 11
    $M make ict_test.npz $NEW --seed 12 $ICT
    $M compare learn.h5 --clips 1700 --test own_test.npz ict_test.npz
    $M compare ict.npz --test own_test.npz ict_test.npz

``make`` draws clips of actions as an ordinary camera sees them, without events, which take most of the time; a data
set of ``snnface synth`` does as well. ``compare`` trains and prints a line of JSON for each test set: ``top1``, the
share of the commonest class (``chance``), ``per_class``, and the pairs that are taken for each other most.

The face is cut out around the landmarks of the first picture, 64 pixels a side; the classifier sees the luminance of
that picture and how seven later ones (4 frames apart) differ from it. In training, clips are flipped, turned, scaled
and shifted, and their contrast, sharpness and noise changed.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from snnface.converters.clip import FRAME_US
from snnface.converters.plan import LENGTH_SPREAD, Plan
from snnface.datasets.store import Store
from snnface.faces import ClipSpec, FaceClip
from snnface.faces.picture import srgb
from snnface.facs import AU_INDEX, AUS
from snnface.files import atomic_path
from snnface.progress import track
from snnface.training.augment import draw, mirror_au
from snnface.training.recipe import Augment

SIDE, PICTURES, STRIDE = 64, 8, 4
#: Half the side of what is cut out, as a share of the landmarks' extent, and how far above their middle it lies.
HALF, ABOVE = 0.72, 0.04
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Seen:
    """Clips of actions: luminance uint8 ``[N, PICTURES, SIDE, SIDE]``, class of the action int64 ``[N]``."""

    pictures: Tensor
    au: Tensor


def make(out: Path, plan: Plan) -> None:
    """Write what :func:`read` reads, of the clips of ``plan``."""
    pictures, au = zip(*(_acted(plan, n) for n in track(range(plan.clips), f"make {out.name}")), strict=True)
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        np.savez(file, pictures=np.stack(pictures), au=np.array(au))


def _acted(plan: Plan, number: int) -> tuple[np.ndarray, int]:
    person, au, _ = plan.labels(number)
    random = np.random.default_rng([plan.seed, number])
    seconds = plan.seconds * random.uniform(1 - LENGTH_SPREAD, 1 + LENGTH_SPREAD)
    spec = ClipSpec(person, au, -1, seconds, plan.width, plan.height, int(random.integers(2**31)))
    clip = FaceClip(spec, face=plan.actor, variation=plan.variation)
    times = np.arange(0, clip.duration_us, STRIDE * FRAME_US)[:PICTURES]
    box = _box(clip.labels(times[:1])["landmarks"][0])
    cut = [_cut(Image.fromarray(srgb(seen)), box) for seen in clip.film(times)]
    return np.stack(cut + cut[-1:] * (PICTURES - len(cut))), AU_INDEX[au]


def read(path: Path, most: int | None = None) -> Seen:
    """The (first ``most``) clips of actions in a file of :func:`make` or a data set with RGB."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return Seen(torch.from_numpy(file["pictures"][:most]), torch.from_numpy(file["au"][:most]))
    store = Store(path)
    numbers = np.flatnonzero(store.au >= 0)[:most]
    pictures = np.stack([np.stack(list(_stored(store, int(i)))) for i in track(numbers, f"read {path.name}")])
    return Seen(torch.from_numpy(pictures), torch.tensor([AU_INDEX[int(store.au[i])] for i in numbers]))


def _stored(store: Store, clip: int) -> Iterator[np.ndarray]:
    rgb, box = store.encoded_rgb(clip), _box(store.frames(clip)["landmarks"][0])
    for k in range(PICTURES):
        # Where a clip ends early its last picture stays.
        at = k * STRIDE if k * STRIDE < len(rgb) else len(rgb) - 1
        yield _cut(Image.open(io.BytesIO(rgb[at])).convert("RGB"), box)


def _box(landmarks: np.ndarray) -> tuple[float, ...]:
    """Left, top, right, bottom of what is cut out around landmarks ``[68, 2]`` (pixels)."""
    low, high = landmarks.min(0), landmarks.max(0)
    extent = (high - low).max()
    middle = (low + high) / 2 - (0, ABOVE * extent) + 0.5
    return (*(middle - HALF * extent), *(middle + HALF * extent))


def _cut(picture: Image.Image, box: tuple[float, ...]) -> np.ndarray:
    cut = picture.transform((SIDE, SIDE), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    return (np.asarray(cut, np.float32) @ LUMA).astype(np.uint8)


class Classifier(nn.Module):
    """Four strided convolutions over the first picture and the differences of the others from it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = PICTURES
        for out, kernel in ((24, 5), (32, 3), (64, 3), (96, 3)):
            layers += [nn.Conv2d(channels, out, kernel, 2, kernel // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        layers += [nn.Flatten(), nn.Dropout(0.3), nn.Linear(channels * (SIDE // 16) ** 2, len(AUS))]
        self.layers = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``[B, 24]`` of luminance ``[B, PICTURES, SIDE, SIDE]`` (0-255)."""
        x = pictures / 255
        rest = x[:, :1]
        level, spread = rest.mean((1, 2, 3), keepdim=True), rest.std((1, 2, 3), keepdim=True) + 0.02
        return self.layers(torch.cat([(rest - level) / spread, 3 * (x[:, 1:] - rest) / spread], 1))


def changed(pictures: Tensor, au: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clips flipped, turned, scaled, shifted, in other light, softer or noisier; and their labels."""
    settings = Augment(shift_pixels=4, scale=0.12, turn_degrees=10)
    change = draw(len(pictures), SIDE, SIDE, settings, generator)
    x = torch.stack([change.pictures(seen[None].float(), i)[0] for i, seen in enumerate(pictures)])
    uniform = torch.rand(4, len(x), 1, 1, 1, generator=generator)
    soft = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    x = torch.lerp(x, soft, uniform[0])
    x = 255 * (x / 255).clamp(1e-3, 1) ** torch.exp2(2 * uniform[1] - 1)
    x = x + 6 * uniform[2] * torch.randn(x.shape, generator=generator)
    return x, mirror_au(au, change.flip)


def train(seen: Seen, epochs: int, seed: int, batch: int = 32, lr: float = 3e-3) -> Classifier:
    """The classifier after ``epochs`` passes."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    classifier = Classifier()
    steps = epochs * (len(seen.au) // batch)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=lr, weight_decay=0.02, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    order = iter(())
    for _ in track(range(steps), "train"):
        chosen = next(order, None)
        if chosen is None:
            shuffled = torch.randperm(len(seen.au), generator=generator)
            order = iter(shuffled[: len(shuffled) // batch * batch].split(batch))
            chosen = next(order)
        pictures, au = changed(seen.pictures[chosen], seen.au[chosen], generator)
        loss = F.cross_entropy(classifier(pictures), au, label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return classifier.eval()


@torch.no_grad()
def measure(classifier: Classifier, seen: Seen, left_out: set[int]) -> dict[str, object]:
    """Accuracy over the actions that occur in the clips, without the FACS numbers ``left_out``."""
    asked = torch.tensor([k for k, au in enumerate(AUS) if au not in left_out and (seen.au == k).any()])
    kept = torch.isin(seen.au, asked)
    truth, pictures = seen.au[kept], seen.pictures[kept]
    answer = torch.cat([asked[classifier(p.float())[:, asked].argmax(1)] for p in pictures.split(64)])
    table = torch.zeros(len(AUS), len(AUS), dtype=torch.int64)
    table.index_put_((truth, answer), torch.ones_like(truth), accumulate=True)
    wrong = table.clone().fill_diagonal_(0)
    worst = wrong.flatten().argsort(descending=True)[:12].tolist()
    per_class = {f"AU{AUS[k]}": round(float(table[k, k] / table[k].sum()), 2) for k in asked.tolist()}
    return {
        "clips": len(truth),
        "classes": len(asked),
        "top1": round(float((answer == truth).float().mean()), 4),
        "chance": round(float(torch.bincount(truth).max() / len(truth)), 4),
        "per_class": per_class,
        "taken_for": [f"{AUS[w // len(AUS)]} for {AUS[w % len(AUS)]}: {wrong.flatten()[w]}" for w in worst],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("make")
    one.add_argument("out", type=Path)
    one.add_argument("--face", default="procedural")
    one.add_argument("--people", type=int, default=200)
    one.add_argument("--each", type=int, default=6, help="clips of a person")
    one.add_argument("--first", type=int, default=0, help="number of the first person")
    one.add_argument("--scene", default="plain")
    one.add_argument("--seed", type=int, default=0)
    two = commands.add_parser("compare")
    two.add_argument("train", type=Path)
    two.add_argument("--test", type=Path, nargs="+", required=True)
    two.add_argument("--clips", type=int, help="learn from so many, the first ones")
    two.add_argument("--epochs", type=int, default=16)
    two.add_argument("--seed", type=int, default=0)
    two.add_argument("--without", type=int, nargs="*", default=[], help="FACS numbers that are not asked for")
    options = parser.parse_args()
    if options.command == "make":
        clips, people = options.people * options.each, options.people
        plan = Plan(
            clips, people, 1.2, 128, 128, "davis346", ("au",), True, options.seed, options.first,
            face=options.face, scene=options.scene,
        )  # fmt: skip
        make(options.out, plan)
        return
    torch.set_num_threads(1)
    classifier = train(read(options.train, options.clips), options.epochs, options.seed)
    for path in options.test:
        seen = read(path)
        for left_out in ([], options.without) if options.without else ([],):
            about = {"train": options.train.name, "test": path.name, "without": left_out}
            print(json.dumps(about | measure(classifier, seen, set(left_out))), flush=True)


if __name__ == "__main__":
    main()
