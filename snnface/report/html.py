"""Small pieces of HTML and the way numbers are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction as per cent: 0.4123 → 41.2 %."""
    return f"{100 * fraction:.{digits}f} %"


def number(value: float) -> str:
    """A whole number with thousands apart: 1317888 → 1,317,888."""
    return f"{value:,.0f}"


def counted(n: int, one: str) -> str:
    """A number of things: 1, "clip" → 1 clip; 3, "clip" → 3 clips."""
    return f"{number(n)} {one}{'' if n == 1 else 's'}"


def si(value: float, unit: str, digits: int = 3) -> str:
    """A number in ``digits`` digits with a prefix: 23600, "J" → 23.6 kJ."""
    if value == 0:
        return f"0 {unit}"
    factor, prefix = next(((f, p) for f, p in _PREFIXES if abs(value) >= f * 0.9995), _PREFIXES[-1])
    scaled = value / factor
    places = max(0, digits - 1 - math.floor(math.log10(abs(scaled) * 1.0005)))
    return f"{scaled:.{places}f} {prefix}{unit}".rstrip()


def seconds(value: float) -> str:
    """A duration: 75.2 → 1 min 15 s."""
    minutes, rest = divmod(round(value), 60)
    if value < 10:
        return f"{value:.1f} s"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of HTML text."""
    return f'<p class="{kind}">{text}</p>' if kind else f"<p>{text}</p>"


def sentence(text: str) -> str:
    """Text as a sentence (HTML): a capital first, a full stop last."""
    return f"{escape(text[:1].upper() + text[1:])}."


def section(name: str, title: str, lead: str, *body: str) -> str:
    """A section with an anchor, its title and one leading paragraph (HTML)."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{escape(title)}</h2>'
        f'<p class="lead">{lead}</p>{"".join(body)}</section>'
    )


def figure(content: str, caption: str, kind: str = "") -> str:
    """A figure with its caption (HTML)."""
    return f'<figure class="{kind}">{content}<figcaption>{caption}</figcaption></figure>'


def grid(*items: str, kind: str = "two") -> str:
    """Items side by side where there is room."""
    return f'<div class="grid {kind}">{"".join(items)}</div>'


def tiles(items: Sequence[tuple[str, str, str]]) -> str:
    """Key figures: value, what it is, and what to hold it against."""
    return (
        '<ul class="tiles">'
        + "".join(
            f"<li><b>{value}</b><span>{what}</span><small>{against}</small></li>" for value, what, against in items
        )
        + "</ul>"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, numeric: Sequence[int] = ()) -> str:
    """A table of HTML cells, its first column as row headers; ``numeric``: columns aligned to the right."""

    def cell(tag: str, i: int, text: str, more: str = "") -> str:
        return f"<{tag}{more}{' class=n' if i in numeric else ''}>{text}</{tag}>"

    top = "".join(cell("th", i, text, ' scope="col"') for i, text in enumerate(head))
    body = "".join(
        "<tr>"
        + "".join(cell("td" if i else "th", i, text, "" if i else ' scope="row"') for i, text in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table><caption>{caption}'
        f"</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
