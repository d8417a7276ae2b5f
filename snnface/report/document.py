"""A whole HTML file that loads nothing: its head, the style of all pages, and the frame of one in sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from string import Template

import snnface
from snnface.report.html import escape


def document(title: str, *body: str, style: str = "", scripts: bool = False, kind: str = "") -> str:
    """The file: ``title`` as text, ``body`` as HTML, ``style`` beyond the shared one, ``kind``: the body's classes.

    Nothing can be fetched, and scripts run only with ``scripts``. Light or dark is the reader's choice.
    """
    return Template(asset("snnface.report", "document.html")).substitute(
        title=escape(title),
        style=asset("snnface.report", "style.css") + style,
        scripts="; script-src 'unsafe-inline'" if scripts else "",
        kind=f' class="{kind}"' if kind else "",
        body="\n".join(body),
    )


def header(heading: str, headline: str, tiles: str = "", picture: str = "") -> str:
    """The top of a page: ``heading`` is text; ``headline``, ``tiles`` and a ``picture`` beside them are HTML."""
    return (
        f'<header>\n{picture}<p class="brand">snnface</p>\n<h1>{escape(heading)}</h1>\n'
        f'<p class="headline">{headline}</p>\n{tiles}</header>'
    )


def navigation(links: Mapping[str, str]) -> str:
    """Links to sections, always in sight: title by name of the section."""
    items = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in links.items())
    return f'<nav aria-label="Sections"><ul>{items}</ul></nav>'


def main(sections: Iterable[str]) -> str:
    """The sections (HTML) of a page."""
    return "<main>\n" + "\n".join(sections) + "\n</main>"


def footer(more: str = "") -> str:
    """Who made the page; ``more``: HTML behind it."""
    made = f"Made by snnface {escape(snnface.__version__)}. One file: nothing is loaded from anywhere."
    return f"<footer><p>{made}{more}</p></footer>"


def asset(package: str, name: str) -> str:
    """Text of a file that comes along with a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")
