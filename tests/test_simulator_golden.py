"""The same seed and pictures give the same events, bit for bit, on every processor (logarithms are our own)."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from snnface.converters.sensors import sensor
from snnface.converters.simulator import EventSimulator

WIDTH, HEIGHT = 75, 53
#: SHA-256 of the events, and how many they are; by preset and seed.
GOLDEN = {
    ("clean", 0): ("50f7192b5372a2bc37726ce7a8f931a3ca46b928e61ed389d937b5e2ce528144", 23037),
    ("clean", 11): ("b886fcb925bc7d5829b86dbfb2fdbd0094b14afbdf2f1888fd45e75d3f3a9cdb", 22493),
    ("davis346", 0): ("f84991dd2248220a9b39eaa7dde78cfd97d744ef186b53efb090844d8c46a686", 11687),
    ("davis346", 11): ("488ab059558d0aa742181b598d33851a6b15d10fd3a5f62db45cbe44780ee5b5", 11171),
    ("evk4", 0): ("448c1c4fb461ec1a09790af0b1148909b2157460839a91ac49fc07cfb91ef1ef", 13413),
    ("evk4", 11): ("6677aff12d1e0d1bd2afc31fa13cccadb7fc7cc0dd6ef95a23c41c932268f6df", 12858),
}


def pictures(seed: int) -> list[tuple[np.ndarray, int]]:
    """A disk that moves over a still background, pauses, flashes and a long step: changing and silent parts."""
    random = np.random.default_rng(seed)
    still = random.uniform(0.0, 1.2, (HEIGHT, WIDTH)).astype(np.float32)
    disk = random.uniform(0.0, 0.8, (HEIGHT, WIDTH)).astype(np.float32)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    steps = [500] * 30 + [2000] * 20 + [33_000] * 15 + [1, 7, 499_999] + [1000] * 30
    made = []
    for i, t in enumerate(np.cumsum([0, *steps]).tolist()):
        place = min(i, 25) if i < 60 else i - 35
        inside = (x - 10 - place) ** 2 + (y - 25) ** 2 < 150
        picture = np.where(inside, disk, still)
        made.append((picture * np.float32(1.5 if i == 40 else 1.0), 1000 + t))
    return made


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.mark.parametrize(("name", "seed"), [(n, s) for n in ("clean", "davis346", "evk4") for s in (0, 11)])
def test_presets_of_published_figures_give_the_same_events(name: str, seed: int) -> None:
    simulator = EventSimulator(WIDTH, HEIGHT, sensor(name), seed)
    events = np.concatenate([simulator.step(light, t) for light, t in pictures(seed)])
    assert (digest(events), len(events)) == GOLDEN[name, seed]
