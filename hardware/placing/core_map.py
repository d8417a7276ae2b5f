"""The cores of a placement as inline SVG: one square a core, in the colour of its layer, filled as full as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from snnface.hardware.placing.cores import Cut
from snnface.hardware.placing.placement import PlacedLayer, Placement
from snnface.report.html import escape, number, percent

_SIDE, _GAP, _MARGIN, _HEAD = 34, 5, 12, 26
#: Hues of the layers, in order; they repeat.
HUES = (212, 22, 158, 282, 48, 338, 190, 100)


@dataclass(frozen=True)
class _Core:
    """One square: its layer (None: free), how full, and what it says when pointed at."""

    layer: int | None
    full: float
    says: str


def core_map(placement: Placement) -> str:
    """Every chip that the network takes, its cores in the order of the layers (chips' own coordinates are not known).

    A square is filled up to the share of the limit that binds in it.
    """
    assert placement.chip.core is not None
    a_chip = int(placement.chip.core.cores.value)
    cores = [*_cores(placement)]
    chips = max(1, math.ceil(len(cores) / a_chip))
    columns = _columns(a_chip, wide=chips == 1)
    pitch = _SIDE + _GAP
    rows = math.ceil(a_chip / columns)
    width, height = 2 * _MARGIN + columns * pitch - _GAP, _HEAD + 2 * _MARGIN + rows * pitch - _GAP
    pictures = []
    for chip in range(chips):
        own = cores[chip * a_chip : (chip + 1) * a_chip]
        own += [_Core(None, 0.0, "free")] * (a_chip - len(own))
        used = sum(core.layer is not None for core in own)
        title = f"{placement.chip.title}{f', chip {chip + 1} of {chips}' if chips > 1 else ''}"
        squares = "".join(
            _square(core, _MARGIN + i % columns * pitch, _HEAD + _MARGIN + i // columns * pitch)
            for i, core in enumerate(own)
        )
        pictures.append(
            f'<svg class="plot cores" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
            f'aria-label="{escape(title)}: {used} of {a_chip} cores"><rect class="die" x=".5" y=".5" '
            f'width="{width - 1}" height="{height - 1}" rx="12"/><text class="name" x="{_MARGIN}" y="24">'
            f'{escape(title)}</text><text class="tick end" x="{width - _MARGIN}" y="24">{used} of {a_chip} cores'
            f"</text>{squares}</svg>"
        )
    return "".join(pictures)


def legend(placement: Placement) -> str:
    """The layers' colours with their names and cores."""
    items = "".join(
        f'<li style="--hue:{HUES[i % len(HUES)]}"><i></i><b>{escape(placed.name)}</b> '
        f"{number(placed.cores)} {'core' if placed.cores == 1 else 'cores'}</li>"
        for i, placed in enumerate(placement.layers)
        if placed.cores is not None
    )
    return f'<ul class="layers">{items}<li class="free"><i></i>free</li></ul>'


def _cores(placement: Placement) -> Iterator[_Core]:
    for i, placed in enumerate(placement.layers):
        if placed.cut is not None:
            for part in range(placed.cut.cores):
                yield _Core(i, _full(placed.cut), _says(placed, placed.cut, part))


def _full(cut: Cut) -> float:
    return max(cut.load.share.values(), default=0.0)


def _says(placed: PlacedLayer, cut: Cut, part: int) -> str:
    held = "×".join(map(str, cut.tile)) if placed.layer.kind == "conv" else f"{cut.tile[2]} of the outputs"
    shares = ", ".join(f"{name} {percent(share, 0)}" for name, share in cut.load.share.items())
    return f"{placed.name}, core {part + 1} of {cut.cores}: {held}; {shares}"


def _square(core: _Core, x: float, y: float) -> str:
    if core.layer is None:
        return f'<rect class="free" x="{x}" y="{y}" width="{_SIDE}" height="{_SIDE}" rx="5"/>'
    high = max(3.0, _SIDE * min(core.full, 1.0))
    return (
        f'<g style="--hue:{HUES[core.layer % len(HUES)]}"><title>{escape(core.says)}</title>'
        f'<rect class="core" x="{x}" y="{y}" width="{_SIDE}" height="{_SIDE}" rx="5"/>'
        f'<rect class="full" x="{x}" y="{y + _SIDE - high:.1f}" width="{_SIDE}" height="{high:.1f}" rx="5"/></g>'
    )


def _columns(cores: int, wide: bool) -> int:
    """A grid three times as wide as tall, or nearly square, without an unfinished row where there is one."""
    least = math.ceil(math.sqrt(cores * (3 if wide else 1)))
    return next((c for c in range(least, 2 * least) if cores % c == 0), least)
