"""The frame of every page: whole, escaped, and forbidden to load or run anything that it was not given."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from snnface.report.document import asset, document, footer, header, main, navigation
from snnface.report.html import section, sentence


class _Seen(HTMLParser):
    """Elements that were opened, in order, with their attributes; whether they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _seen(page: str) -> _Seen:
    seen = _Seen()
    seen.feed(page)
    return seen


def test_a_page_in_sections():
    page = document(
        "a <b>",
        header("a <b> & c", "<b>bold</b>", "<ul></ul>"),
        navigation({"one": "One & only"}),
        main([section("one", "One", "A lead.")]),
        footer(" More."),
        style=".own { color: red; }\n",
    )
    seen = _seen(page)
    assert seen.open == []
    tags = [tag for tag, _ in seen.seen]
    assert tags[tags.index("body") :] == [
        *("body", "header", "p", "h1", "p", "b", "ul", "nav", "ul", "li", "a"),
        *("main", "section", "h2", "p", "footer", "p"),
    ]
    assert "<title>a &lt;b&gt;</title>" in page
    assert "<h1>a &lt;b&gt; &amp; c</h1>" in page
    assert "One &amp; only" in page
    assert page.count(asset("snnface.report", "style.css")) == 1
    assert page.index(".own") > page.index(":root")
    assert "loaded from anywhere. More." in page


@pytest.mark.parametrize("scripts", [False, True])
def test_what_a_page_may_do(scripts):
    seen = _seen(document("t", "<main></main>", scripts=scripts, kind="view plain"))
    (policy,) = [a["content"] for _, a in seen.seen if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "data:"
    assert rules.pop("style-src") == "'unsafe-inline'"
    assert rules == ({"script-src": "'unsafe-inline'"} if scripts else {})
    assert ("body", {"class": "view plain"}) in seen.seen


@pytest.mark.parametrize("name", ["style.css", "report.css", "player.css"])
def test_a_style_loads_nothing_and_uses_colours_that_there_are(name):
    style = asset("snnface.report", name)
    assert not re.search(r"https?:|@import|url\(", style)
    assert style.count("{") == style.count("}")
    given = set(re.findall(r"(--\w+):", asset("snnface.report", "style.css"))) | {"--people"}
    assert set(re.findall(r"var\((--\w+)\)", style)) <= given


def test_a_sentence():
    assert sentence("a model & no measurement") == "A model &amp; no measurement."
