"""Contact sheets: every action of a few people at rest, at the apex, and as events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from snnface.faces.clip import ClipSpec, FaceClip
from snnface.faces.person import Face
from snnface.faces.picture import luminance
from snnface.faces.procedural import PROCEDURAL
from snnface.facs import AU_NAMES, EXPRESSIONS
from snnface.files import atomic_path

#: Turns (luminance frames float32 [H, W], times in µs) into a picture of events, uint8 [H, W, 3].
EventPicture = Callable[[Sequence[np.ndarray], Sequence[int]], np.ndarray]

_TITLE, _LABEL = 14, 150


def apex_time(clip: FaceClip) -> int:
    """The time (µs) at which the action is strongest."""
    times = np.arange(0, clip.duration_us, 5000)
    acted = clip.motion.lids if clip.spec.au in (43, 45) else clip.motion.course
    return int(times[int(np.argmax(acted(times * 1e-6)))])


def onset_frames(clip: FaceClip) -> tuple[list[np.ndarray], list[int]]:
    """Luminance frames and their times (µs) from just before the onset up to 100 ms after the apex."""
    start, stop = max(int(clip.motion.course.start * 1e6) - 20_000, 0), apex_time(clip) + 100_000
    times = clip.sampling_times(np.array([start, min(stop, clip.duration_us)]))
    return [luminance(seen) for seen in clip.film(times)], times.tolist()


def contact_sheet(
    path: str | Path,
    identities: Sequence[int],
    seed: int,
    size: int,
    events: EventPicture | None = None,
    expressions: bool = False,
    intensity: float | None = None,
    face: Face = PROCEDURAL,
) -> None:
    """Write a PNG with one row for each action (or expression) and, for each identity, rest, apex and events.

    seed: of the clips; one identity has the same light and pose in all rows, as these do not depend on the label.
    size: pixels of a cell. events: how events are drawn (left out without it). intensity: instead of the drawn one.
    face: the kind of face; what it cannot act is left out.
    """
    actions = list(face.expressions if expressions else face.actions)
    cells = 3 if events else 2
    sheet = Image.new("RGB", (_LABEL + len(identities) * cells * size, _TITLE + len(actions) * size), "white")
    pen = ImageDraw.Draw(sheet)
    for column, who in enumerate(identities):
        pen.text(
            (_LABEL + column * cells * size + 4, 1),
            f"person {who}: rest, apex" + (", events" if events else ""),
            "black",
        )
    for row, action in enumerate(actions):
        name = EXPRESSIONS[action] if expressions else f"{action} {AU_NAMES[action]}"
        pen.text((4, _TITLE + row * size + size // 2 - 6), name, "black")
        for column, who in enumerate(identities):
            spec = ClipSpec(who, *((-1, action) if expressions else (action, -1)), 1.6, size, size, seed + who)
            clip = FaceClip(spec, intensity, face)
            pictures = [clip.rgb(0), clip.rgb(apex_time(clip))]
            if events:
                pictures.append(events(*onset_frames(clip)))
            for k, picture in enumerate(pictures):
                sheet.paste(Image.fromarray(picture), (_LABEL + (column * cells + k) * size, _TITLE + row * size))
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")
