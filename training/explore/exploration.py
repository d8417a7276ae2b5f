"""``snnface explore``: a family of networks, trained and priced; accuracy against energy, latency and cores.

Every network is a stage of its own in the folder (``stages.py``): what is valid is used again, and an interrupted
training goes on from its last epoch. All are measured on the validation people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnface.datasets.store import Store
from snnface.encoder import Encoder, EncoderConfig, HeadConfig, class_heads
from snnface.errors import InputError
from snnface.hardware.placing.chip import Chip
from snnface.hardware.placing.placement import place
from snnface.hardware.profiling.command import profile
from snnface.hardware.profiling.profile import FOOTING
from snnface.network import Network
from snnface.progress import say
from snnface.training.experiment import train_in_stages
from snnface.training.explore.data import shrink
from snnface.training.explore.family import Member, without_teacher
from snnface.training.recipe import Recipe
from snnface.training.side_by_side import TrainingRun
from snnface.training.stages import Stages

CNN = "matched CNN + LSTM"
#: What decides a price.
PRICING = (
    *("counts.py", "network.py", "input.py", "encoder.py", "forward.py", "backends/torch.py"),
    *("hardware/chips", "hardware/opening.py", "hardware/placing", "hardware/profiling"),
)
#: Bits a weight where a network was not trained for fewer.
BITS = 8


@dataclass(frozen=True)
class Family:
    """What is explored: ``members``, priced on ``chip``; ``init``: weights to fine-tune where shapes allow it."""

    recipe: Recipe
    members: Sequence[Member]
    chip: Chip
    init: str | None = None
    cnn: bool = True


class Exploration:
    """The family's data, trainings and prices in one folder, each made once."""

    def __init__(self, folder: Path, family: Family, core_budget: float | None = None) -> None:
        self.folder, self.family, self.core_budget = folder, family, core_budget
        self.source = family.recipe.data.train
        sizes = sorted({m.size for m in family.members if m.size is not None})
        names = [f"{size} pixels" for size in sizes]
        names += [f"{what} {m.label}" for what in ("train", "price") for m in family.members]
        self.stages = Stages(folder, [*names, f"train {CNN}"])
        self.data = {None: self.source} | {size: folder / f"{size}.h5" for size in sizes}

    def run(self) -> list[dict[str, Any]]:
        """A point for each member and for the CNN: accuracies, and prices where it was trained."""
        self._shrink()
        known = {m.label: self._cores(m) for m in self.family.members}
        trained = [m for m in self.family.members if not self._too_large(known[m.label])]
        for member in self.family.members:
            if member not in trained:
                say(f"{member.label}: {known[member.label]} cores, more than the budget; not trained")
        answers = self._train(trained)
        points = []
        for member in self.family.members:
            point: dict[str, Any] = {"name": member.label, "kind": "spiking", "changes": dict(member.changes)}
            point |= {"trained": member in trained, "cores": known[member.label]}
            if member in trained:
                point |= self._priced(member, answers[member.label])
            points.append(point)
        if self.family.cnn:
            points.append(self._cnn_point(answers[CNN], points))
        return points

    def _shrink(self) -> None:
        for size, path in self.data.items():
            if size is not None:
                self.stages.run(
                    f"{size} pixels",
                    lambda path=path, size=size: shrink(self.source, path, size),  # type: ignore[misc]
                    settings={"size": size},
                    inputs=[self.source],
                    outputs=[path],
                    code=("downscale.py", "training/explore/data.py"),
                )

    def _train(self, members: Sequence[Member]) -> dict[str, dict[str, Any]]:
        """Each network's best epoch on the validation people, by label; the first begun first."""
        runs = {m.label: self._training(m) for m in members}
        if self.family.cnn:
            runs[CNN] = TrainingRun(without_teacher(self.family.recipe), self.folder / "runs" / CNN)
        return train_in_stages(self.stages, runs)

    def _training(self, member: Member) -> TrainingRun:
        data = self.data[member.size]
        recipe = member.recipe.model_copy(update={"data": member.recipe.data.model_copy(update={"train": data})})
        init = self.family.init if member.keeps_weights else None
        return TrainingRun(recipe, self.folder / "runs" / member.label, init)

    def _priced(self, member: Member, answer: dict[str, Any]) -> dict[str, Any]:
        best, data = Path(answer["checkpoint"]), self.data[member.size]
        chips = list(dict.fromkeys((self.family.chip.name, FOOTING)))
        bits = _bits(member)
        bill = self.stages.run(
            f"price {member.label}",
            lambda: profile(best, data=data, split="validation", chip=chips, bits=bits),
            settings={"chips": chips, "bits": bits, "chip": self.family.chip.model_dump(mode="json")},
            inputs=[best, data],
            code=(*PRICING, "training/baselines.py"),
        )
        rows = {row["name"]: row for row in bill["chips"]}
        on = rows[self.family.chip.name]
        return {
            **_accuracies(answer["metrics"]),
            "energy_uj_per_s": on["energy_uj_per_s"],
            "energy_low_uj_per_s": on["energy_low_uj_per_s"],
            "energy_high_uj_per_s": on["energy_high_uj_per_s"],
            "footing_uj_per_s": rows[FOOTING]["energy_uj_per_s"],
            "latency_us": on["latency_us"],
            "cores": on["cores"],
            "fits": on["fits"],
            "synops_per_s": bill["synops_per_s"],
            "parameters": bill["parameters"],
            "baselines": {row["name"]: row["energy_uj_per_s"] for row in bill["baselines"]},
            "checkpoint": str(best),
            "fine_tuned": self.family.init if member.keeps_weights else None,
        }

    def _cnn_point(self, answer: dict[str, Any], points: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The CNN of the recipe's own widths: its energy stands on the common footing alone."""
        spent = next((p["baselines"]["matched"] for p in points if p["trained"] and not p["changes"]), None)
        return {
            "name": CNN,
            "kind": "cnn",
            "changes": {},
            "trained": True,
            **_accuracies(answer["metrics"]),
            "footing_uj_per_s": spent,
            "checkpoint": answer["checkpoint"],
        }

    def _cores(self, member: Member) -> int | None:
        return place(self._shapes(member), self.family.chip, _bits(member)).cores

    def _shapes(self, member: Member) -> Network:
        """The network that the member's recipe will make, untrained."""
        store = Store(self.data[member.size])
        labels = store.frames(0, ("landmarks", "coefficients"))
        heads = class_heads() | {"landmarks": _head(2 * labels["landmarks"].shape[1])}
        if member.recipe.teacher is not None:
            heads["coefficients"] = _head(labels["coefficients"].shape[1])
        network = member.recipe.network.model_dump(exclude={"kind", "prior"})
        return Encoder(EncoderConfig(**network, width=store.width, height=store.height, heads=heads)).to_network()

    def _too_large(self, cores: int | None) -> bool:
        return self.core_budget is not None and cores is not None and cores > self.core_budget


def _head(size: int) -> HeadConfig:
    return HeadConfig(size=size, scale=[1.0] * size, offset=[0.0] * size)


def _bits(member: Member) -> int:
    return member.recipe.quantise.bits if member.recipe.quantise else BITS


def _accuracies(metrics: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {
        k: float(metrics[k]) for k in ("au_top1", "au_top3", "expression_acc", "nme") if k in metrics
    }
    if not found or not np.isfinite(list(found.values())).all():
        raise InputError("the validation people", "have no labels to measure by", "Explore a data set with labels")
    return found
