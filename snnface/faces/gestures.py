"""Small doings beside the acted one: a muscle that twitches, a few syllables that are spoken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnface.faces.actions import CHANNELS
from snnface.facs import AU_INDEX, AUS


def minimum_jerk(x: np.ndarray) -> np.ndarray:
    """``10x³ - 15x⁴ + 6x⁵`` on 0..1 (Flash & Hogan 1985), held outside."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (10.0 + x * (6.0 * x - 15.0))


@dataclass(frozen=True)
class Pulse:
    """Rises for ``rise`` seconds from ``start``, holds till ``release`` and falls for ``fall`` seconds.

    sustain: what is left of the apex at the release.
    """

    start: float
    rise: float
    release: float
    fall: float
    sustain: float = 1.0

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """Amplitude 0..1 at ``t`` (seconds)."""
        up, down = minimum_jerk((t - self.start) / self.rise), minimum_jerk((t - self.release) / self.fall)
        if self.sustain < 1:
            held = max(self.release - self.start - self.rise, 1e-3)
            up = up * (1 - (1 - self.sustain) * minimum_jerk((t - self.start - self.rise) / held))
        return up * (1 - down)


@dataclass(frozen=True)
class Gesture:
    """A pulse of some muscles: ``channels`` ``[channels]`` as of :data:`snnface.faces.actions.CHANNELS`, and its
    labels ``au`` ``[24]``."""

    pulse: Pulse
    channels: np.ndarray
    au: np.ndarray


#: What twitches by itself, and what a syllable is made of.
_TWITCHES = (1, 2, 4, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 25)
_SOUNDS: tuple[dict[int, float], ...] = (
    {26: 1.0, 25: 0.7},
    {26: 0.6, 25: 0.6, 20: 0.3},
    {26: 0.5, 23: 0.6, 25: 0.3},
    {26: 0.3, 25: 0.8, 16: 0.4},
    {24: 0.6},
    {17: 0.3, 25: 0.4, 26: 0.3},
)
#: Jaws of speakers open and close 2 to 6 times a second (Chandrasekaran et al., PLoS Comput. Biol. 2009).
_SYLLABLES_A_SECOND = (3.0, 6.0)


def gesture(pulse: Pulse, amounts: dict[int, float], sides: tuple[float, float] = (1.0, 1.0)) -> Gesture:
    """The pulse of some action units, ``amounts`` by FACS number; ``sides``: shares of the right and the left."""
    channels, au = np.zeros(len(CHANNELS)), np.zeros(len(AUS))
    for i, (number, which) in enumerate(CHANNELS):
        if number in amounts:
            channels[i] = amounts[number] * (1.0 if which == 0 else sides[which > 0])
    for number, amount in amounts.items():
        if number in AU_INDEX:
            au[AU_INDEX[number]] = amount * max(sides)
    return Gesture(pulse, channels, au)


def draw_twitches(rng: np.random.Generator, seconds: float, rate: float) -> list[Gesture]:
    """Micro-movements: one muscle, faint, often on one side, over within 80 to 500 ms (Yan et al., J. Nonverbal
    Behav. 2013)."""
    out = []
    for _ in range(rng.poisson(rate * seconds)):
        whole, rise = rng.uniform(0.08, 0.5), rng.uniform(0.25, 0.4)
        start = rng.uniform(0.02, max(seconds - whole, 0.03))
        pulse = Pulse(start, rise * whole, start + 0.5 * whole, 0.5 * whole)
        weaker = rng.choice((0.0, 0.6, 1.0))
        sides = (1.0, weaker) if rng.random() < 0.5 else (weaker, 1.0)
        out.append(gesture(pulse, {int(rng.choice(_TWITCHES)): rng.uniform(0.1, 0.4)}, sides))
    return out


def draw_speech(rng: np.random.Generator, seconds: float) -> list[Gesture]:
    """A few syllables in a row, each of another sound."""
    rate = rng.uniform(*_SYLLABLES_A_SECOND)
    count = int(rng.integers(2, max(3, int(0.6 * seconds * rate))))
    start = rng.uniform(0.05, max(seconds - count / rate, 0.06))
    loud = rng.uniform(0.3, 0.7)
    out = []
    for k in range(count):
        at, whole = start + k / rate, rng.uniform(0.85, 1.3) / rate
        pulse = Pulse(at, 0.4 * whole, at + 0.45 * whole, 0.55 * whole)
        sound = _SOUNDS[int(rng.integers(len(_SOUNDS)))]
        out.append(gesture(pulse, {au: loud * share * rng.uniform(0.7, 1.0) for au, share in sound.items()}))
    return out
