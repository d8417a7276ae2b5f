"""When things move: the acted course, blinks, gaze and sway of one clip, smooth in time.

The angles are in degrees: yaw + to the subject's left (right in the picture), pitch + up, roll + towards the
subject's left shoulder; gaze x + to the subject's left, gaze y + up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from snnface.faces.actions import CHANNEL_INDEX, CHANNELS, PAIRED
from snnface.faces.expressions import COMBINATIONS, ONE_SIDED, OPTIONAL
from snnface.faces.gestures import Gesture, Pulse, draw_speech, draw_twitches, gesture, minimum_jerk
from snnface.faces.variation import PLAIN, Variation
from snnface.facs import AU_INDEX, AUS, EXPRESSIONS

#: The sideways coefficients are by side, the others one for both sides; the head's are signed and relative to rest.
_SIDED = (12, 14)
COEFFICIENT_NAMES: tuple[str, ...] = (
    *(f"au{au}" for au in (1, 2, 4, 5, 6, 7, 9, 10)),
    *(f"au{au}_{side}" for au in _SIDED for side in ("right", "left")),
    *(f"au{au}" for au in (15, 16, 17, 20, 23, 24, 25, 26, 27)),
    "lids",
    "head_yaw",
    "head_pitch",
    "head_roll",
)
#: Turn of the head (degrees) at full intensity and its axis: 0 yaw, 1 pitch, 2 roll.
HEAD_ACTIONS = {51: (0, 24.0), 52: (0, -24.0), 53: (1, 18.0), 54: (1, -18.0), 55: (2, 20.0), 56: (2, -20.0)}


@dataclass(frozen=True)
class State:
    """Everything that moves, at the times asked for.

    channels ``[F, channels]`` as in :data:`snnface.faces.actions.CHANNELS`; closure ``[F, 2]`` of the right and left
    eye, 0..1; head ``[F, 3]`` yaw, pitch, roll in degrees; acted ``[F, 3]`` the acted part of it in shares of full
    intensity; shift ``[F, 3]`` cm; gaze ``[F, 2]`` degrees; au ``[F, 24]`` labels;
    components ``[F, N]`` of a face that has no actions; lamp ``[F, 3]``: what is added to the azimuth and the
    elevation of the light (degrees) and to the logarithm of its strength.
    """

    channels: np.ndarray
    closure: np.ndarray
    head: np.ndarray
    acted: np.ndarray
    shift: np.ndarray
    gaze: np.ndarray
    au: np.ndarray
    components: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    lamp: np.ndarray = field(default_factory=lambda: np.zeros((1, 3)))

    def coefficients(self) -> np.ndarray:
        """float32 ``[F, K]`` in the order of :data:`COEFFICIENT_NAMES`; or components instead of actions."""
        out = list(self.components.T)
        for name in () if out else COEFFICIENT_NAMES[:-4]:
            au, _, side = name[2:].partition("_")
            if side:
                out.append(self.channels[:, CHANNEL_INDEX[int(au), -1 if side == "right" else 1]])
            elif int(au) in PAIRED:
                i = CHANNEL_INDEX[int(au), -1]
                out.append(self.channels[:, i : i + 2].mean(1))
            else:
                out.append(self.channels[:, CHANNEL_INDEX[int(au), 0]])
        out += [self.closure.mean(1), *self.acted.T]
        return np.stack(out, 1).astype(np.float32)


class Motion:
    """The drawn motion of one clip. Light and background use other streams, so that the label cannot change them."""

    def __init__(
        self,
        au: int,
        expression: int,
        seconds: float,
        seed: np.random.SeedSequence,
        intensity: float | None = None,
        components: int = 0,
        variation: Variation = PLAIN,
    ) -> None:
        rest, act, life, free, extra = (np.random.default_rng(s) for s in seed.spawn(5))
        within = np.array([variation.yaw, variation.pitch, variation.roll])
        self.rest_head = rest.uniform(-within, within)
        self.rest_gaze = np.array([rest.uniform(-12, 12), rest.uniform(-6, 6)])
        self._draw_course(act, seconds)
        drawn = act.uniform(0.3, 1.0)
        self.intensity = drawn if intensity is None else intensity
        self._draw_action(act, au, expression)
        self._draw_life(life, seconds)
        self.component_gain = self.intensity * np.clip(free.normal(size=components), -2, 2)
        self.gestures: list[Gesture] = draw_twitches(extra, seconds, variation.micro)
        if extra.random() < variation.speech:
            self.gestures += draw_speech(extra, seconds)

    def _draw_course(self, rng: np.random.Generator, seconds: float) -> None:
        """Onset, apex and offset: the same draws whatever the label."""
        rise = min(rng.uniform(0.08, 0.30), 0.35 * seconds)
        apex = min(rng.uniform(0.25, 0.60), 0.35 * seconds)
        start = rng.uniform(0.06 * seconds, max(0.12 * seconds, seconds - rise - apex - 0.05))
        fall = rng.uniform(0.12, 0.40)
        leaves = rng.random() < 0.6 and start + rise + apex + fall < seconds - 0.05
        release = start + rise + apex if leaves else seconds + 9.0
        self.course = Pulse(start, rise, release, fall, rng.uniform(0.7, 1.0) if leaves else 1.0)
        # A blink closes and reopens within 150-350 ms; closed eyes stay so for at least half a second.
        whole = rng.uniform(0.15, 0.35)
        self.blink = Pulse(start, 0.32 * whole, start + 0.45 * whole, 0.55 * whole)
        held = release if release - start - rise >= 0.5 else seconds + 9.0
        self.closed = Pulse(start, rise, held, fall)

    def _draw_action(self, rng: np.random.Generator, au: int, expression: int) -> None:
        gains: dict[int, float] = {}
        if au >= 0:
            gains = {au: 1.0}
        elif expression >= 0:
            name = EXPRESSIONS[expression]
            gains = {k: v * rng.uniform(0.75, 1.1) for k, v in COMBINATIONS[name].items()}
            for k, v in OPTIONAL.get(name, {}).items():
                if rng.random() < 0.5:
                    gains[k] = v * rng.uniform(0.5, 1.0)
        one_sided = expression >= 0 and EXPRESSIONS[expression] in ONE_SIDED
        side = rng.choice((-1, 1))
        self.acted_turn, self.turn_share = np.zeros(3), np.zeros(3)
        self.lids = self.closed if au == 43 else self.blink
        self.lid_gain = self.lid_level = 0.0
        self.acted: list[Gesture] = []
        for k, g in gains.items():
            level = min(self.intensity * g, 1.0)
            if k in HEAD_ACTIONS:
                axis, degrees = HEAD_ACTIONS[k]
                self.acted_turn[axis], self.turn_share[axis] = level * degrees, level * np.sign(degrees)
            elif k in (43, 45):
                self.lid_gain, self.lid_level = 0.72 + 0.28 * level, level
                continue
            # Faces are a little uneven, and the muscles of an expression do not set in at once.
            weaker = 0.0 if one_sided else rng.uniform(0.75, 1.0)
            sides = (1.0, weaker) if side < 0 else (weaker, 1.0)
            course = self.course
            if expression >= 0:
                lag, slower = rng.uniform(0.0, 0.08), rng.uniform(0.9, 1.3)
                course = replace(course, start=course.start + lag, rise=course.rise * slower)
            self.acted.append(gesture(course, {k: level}, sides))

    @property
    def channel_gain(self) -> np.ndarray:
        """``[channels]`` what the acted muscles do at their apex."""
        return sum((g.channels for g in self.acted), np.zeros(len(CHANNELS)))

    def _draw_life(self, rng: np.random.Generator, seconds: float) -> None:
        """Sway of head and body, stray blinks and small movements of gaze."""
        self.sway_rate = 2 * np.pi * rng.uniform(0.08, 0.45, (3, 6))
        self.sway_phase = rng.uniform(0, 2 * np.pi, (3, 6))
        total = np.concatenate([rng.uniform(0.4, 1.2, 3), rng.uniform(0.05, 0.22, 3)])
        self.sway_gain = total * rng.dirichlet(np.ones(3), 6).T
        self.stray: list[tuple[Pulse, float]] = []
        # People blink about 17 times a minute at rest (Bentivoglio et al., Mov. Disord. 1997).
        for _ in range(rng.poisson(0.28 * seconds)):
            at, whole = rng.uniform(0, max(seconds - 0.15, 0.01)), rng.uniform(0.12, 0.25)
            self.stray.append((Pulse(at, 0.35 * whole, at + 0.45 * whole, 0.55 * whole), rng.uniform(0.7, 1.0)))
        steps = rng.poisson(0.8 * seconds)
        self.saccades = [
            (rng.uniform(0, seconds), rng.uniform(0.03, 0.06), rng.normal(0, 3.0, 2) * (1.0, 0.6))
            for _ in range(steps)
        ]

    def at(self, t: np.ndarray) -> State:
        """The state at the times ``t`` [F] in seconds."""
        t = np.asarray(t, float)
        course = self.course(t)[:, None]
        lids = self.lids(t)
        stray = np.zeros_like(t)
        for pulse, gain in self.stray:
            stray = np.maximum(stray, gain * pulse(t))
        channels, au = np.zeros((len(t), len(CHANNELS))), np.zeros((len(t), len(AUS)))
        for each in (*self.acted, *self.gestures):
            amount = each.pulse(t)[:, None]
            # A muscle that is called twice does more, but never more than all it can.
            channels += (1 - channels) * (amount * each.channels)
            au += (1 - au) * (amount * each.au)
        au[:, AU_INDEX[43 if self.lids is self.closed else 45]] = self.lid_level * lids
        blink = AU_INDEX[45]
        au[:, blink] = np.maximum(au[:, blink], stray)
        sway = (self.sway_gain * np.sin(self.sway_rate * t[:, None, None] + self.sway_phase)).sum(1)
        gaze = np.broadcast_to(self.rest_gaze, (len(t), 2)).copy()
        for start, rise, jump in self.saccades:
            gaze += minimum_jerk((t - start) / rise)[:, None] * jump
        return State(
            channels=channels,
            closure=np.repeat(np.maximum(self.lid_gain * lids, stray)[:, None], 2, 1),
            head=self.rest_head + sway[:, :3] + course * self.acted_turn,
            acted=course * self.turn_share,
            shift=sway[:, 3:],
            gaze=gaze,
            au=au.astype(np.float32),
            components=course * self.component_gain,
        )
