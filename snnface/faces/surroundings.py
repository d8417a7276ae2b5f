"""What goes on around the face: the lamp wanders and flickers, the background moves, something comes in front."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snnface.faces.props import Prop, draw_occluder, draw_passer
from snnface.faces.variation import Variation

#: Lights on mains swing at twice its frequency (Hz).
MAINS_HZ = (50.0, 60.0)
#: Moments of a swing at which the light is looked at.
_A_SWING = 10


class Surroundings:
    """The drawn surroundings of one clip. Each has a stream of its own: one more leaves the others as they are."""

    def __init__(self, seed: np.random.SeedSequence, variation: Variation, seconds: float) -> None:
        lamp, mains, back, front = (np.random.default_rng(s) for s in seed.spawn(4))
        most = np.array([variation.lamp_degrees, 0.5 * variation.lamp_degrees, variation.lamp_change])
        self._lamp = _Waves(lamp, most, (0.1, 0.6)) if lamp.random() < variation.moving_light else None
        self._depth, self._rate, self._phase = 0.0, 1.0, 0.0
        if mains.random() < variation.flicker:
            self._depth = mains.uniform(0.1, 1.0) * variation.flicker_depth
            self._rate = 2e-6 * mains.choice(MAINS_HZ)
            self._phase = mains.uniform()
        self._drift: _Waves | None = None
        self.props: list[Prop] = []
        if back.random() < variation.moving_background:
            if back.random() < 0.5:
                self._drift = _Waves(back, np.full(2, variation.drift), (0.1, 0.4))
            else:
                self.props.append(draw_passer(back, seconds))
        if front.random() < variation.occluders:
            self.props.append(draw_occluder(front, seconds))
        self.margin = variation.drift if self._drift else 0.0

    def lamp(self, seconds: np.ndarray) -> np.ndarray:
        """``[F, 3]`` as of :class:`snnface.faces.motion.State`."""
        return self._lamp(seconds) if self._lamp else np.zeros((len(seconds), 3))

    def drift(self, seconds: np.ndarray) -> np.ndarray:
        """``[F, 2]``: how far the background lies to the right and down, shares of the picture's longer side."""
        return self._drift(seconds) if self._drift else np.zeros((len(seconds), 2))

    def mains(self, t_us: np.ndarray | float) -> np.ndarray:
        """Strength of all light at times (µs), 1 on average; alternating current lights lamps twice a period."""
        return 1 + self._depth * np.sin(2 * np.pi * (self._rate * np.asarray(t_us, float) + self._phase))

    def between(
        self, start_us: int, first: np.ndarray, stop_us: int, last: np.ndarray
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Light float32 ``[H, W]`` after ``start_us`` up to ``stop_us`` (µs) where it is ``first`` at the one and
        ``last`` at the other, but for the mains; as often as it takes to see their swing."""
        count = 1
        if self._depth:
            count = max(int(np.ceil((stop_us - start_us) * self._rate * _A_SWING)), 1)
        moments = np.unique(np.rint(np.linspace(start_us, stop_us, count + 1)[1:]).astype(np.int64))
        for t in moments[moments > start_us].tolist():
            share = np.float32((t - start_us) / (stop_us - start_us))
            seen = last if t == stop_us else first + share * (last - first)
            yield t, seen * np.float32(self.mains(t)) if self._depth else seen


class _Waves:
    """Two sines for each of some values, which together reach at most ``most``."""

    def __init__(self, rng: np.random.Generator, most: np.ndarray, hz: tuple[float, float]) -> None:
        self._rate = 2 * np.pi * rng.uniform(*hz, (2, len(most)))
        self._phase = rng.uniform(0, 2 * np.pi, (2, len(most)))
        self._gain = most * rng.uniform(0.3, 1.0) * rng.dirichlet(np.ones(2), len(most)).T

    def __call__(self, seconds: np.ndarray) -> np.ndarray:
        """``[F, values]``."""
        return (self._gain * np.sin(self._rate * np.asarray(seconds)[:, None, None] + self._phase)).sum(1)
