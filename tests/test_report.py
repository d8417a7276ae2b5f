"""The page, made from a small real experiment, and opened in a real browser."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import snnface
from snnface import checkpoint
from snnface.converters.clip import make_clip
from snnface.converters.plan import Plan
from snnface.datasets.store import write_store
from snnface.encoder import ConvConfig, DenseConfig, Encoder, EncoderConfig
from snnface.events import pack
from snnface.report import write_report
from snnface.report.html import seconds, si
from snnface.report.page import NAVIGATION
from snnface.report.pictures import OFF, ON, event_png, packed
from snnface.report.plots import Bar, bars, matrix
from snnface.training.baselines import MatchedCnn
from snnface.training.clips import Clips
from snnface.training.models import heads
from snnface.training.pictures import collect

SIZE = 16
GOLDEN = Path(__file__).parent / "golden"
VOID = {"meta", "link", "img", "br", "input"}


def _data(path: Path) -> Path:
    """One clip to learn from, one to validate on, and an action unit and an expression of a third person."""
    plan = Plan(93, 3, 0.5, SIZE, SIZE, "davis346", ("au", "expression"), True, 0, split=(1 / 3, 1 / 3, 1 / 3))
    wanted = {(split, 0) for split in range(3)} | {(2, 1)}
    clips = []
    for number in range(plan.clips):
        identity, _, expression = plan.labels(number)
        kind = (plan.split_of(identity), int(expression >= 0))
        if kind in wanted:
            wanted.remove(kind)
            clips.append(make_clip(plan, number))
    write_store(path, clips, SIZE, SIZE, {"name": "procedural"})
    return path


def _models(folder: Path, data: Path) -> tuple[Path, Path]:
    """An untrained, calibrated encoder and an untrained CNN."""
    clips = Clips(data, "train")
    config = EncoderConfig(
        width=SIZE,
        height=SIZE,
        conv=[ConvConfig(channels=4)],
        dense=[DenseConfig(features=8)],
        heads=heads(clips, None, None),
    )
    torch.manual_seed(0)
    encoder = Encoder(config)
    encoder.calibrate(clips.events_batch([0]), 0.05)
    meta = {"mean_shape": torch.cat(clips.landmarks).mean(0).tolist()}
    checkpoint.save(folder / "model.safetensors", encoder, meta)
    checkpoint.save(folder / "cnn.safetensors", MatchedCnn(config), meta, "matched_cnn")
    return folder / "model.safetensors", folder / "cnn.safetensors"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the whole path at its smallest; the certificate is against recordings of real Lava."""
    folder = tmp_path_factory.mktemp("report")
    data = _data(folder / "test.h5")
    weights, cnn = _models(folder, data)
    metrics = snnface.eval(weights, data)
    snnface.export(weights, out=folder / "model.net")
    live = snnface.run(weights, str(data), clip=2)
    summary = {
        "metrics": metrics,
        "unguided": metrics,
        "baseline": snnface.eval(cnn, data),
        "quantised": snnface.eval(folder / "model.net", data, mean_shape=data),
        "teacher": snnface.teach(data, out=folder / "teacher.safetensors", epochs=1),
        "certificate": snnface.verify(GOLDEN / "conv.net", against=f"golden:{GOLDEN / 'conv.graded.golden.h5'}"),
        "certificate_unary": snnface.verify(
            GOLDEN / "conv.unary.net", against=f"golden:{GOLDEN / 'conv.unary.golden.h5'}"
        ),
        "profile": snnface.profile(weights, data=data, split="test"),
        "real_recording": live,
        "synthetic_recording": live,
        "settings": {"train_people": 1, "validation_people": 1, "test_people": 1},
        "wall_s": {"teacher": 1.5, "live": 61.0},
    }
    answer = write_report(folder, summary, collect(weights, data, scenes=2, actions=[12]))
    assert answer["bytes"] == (folder / "report.html").stat().st_size
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder / "report.html"


class _Structure(HTMLParser):
    """Ids and addresses of a page, and whether its elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        self.ids += [names["id"]] if "id" in names else []
        self.addresses += [names[a] for a in ("src", "href", "data", "action", "poster") if names.get(a)]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_whole_and_stands_alone(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    structure = _Structure()
    structure.feed(text)
    assert structure.open == []
    assert len(structure.ids) == len(set(structure.ids))
    assert set(NAVIGATION) <= set(structure.ids)
    assert all(a.startswith(("data:", "#")) for a in structure.addresses)
    assert {a[1:] for a in structure.addresses if a.startswith("#")} <= set(structure.ids)
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|WebSocket", text)
    assert "$" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)


def test_page_says_what_the_summary_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    summary = json.loads((page.parent / "summary.json").read_text())
    metrics = summary["metrics"]
    for key in ("au_top1", "expression_acc", "nme", "nme_mean_shape"):
        assert f"{100 * metrics[key]:.1f} %" in text
    assert summary["certificate"]["sha256"]["network"] in text
    assert all(html.escape(c["source"]) in text for c in summary["profile"]["chips"])
    assert "fixed-point simulation" in text
    assert "with the chip" not in text
    assert "1 min 01 s" in text


def _visit(browser: str, page: Path, folder: Path) -> tuple[str, str, list[str]]:
    """The page's elements after its scripts ran, the browser's log, and what the page asked the network for."""
    log = folder / f"{page.stem}.net.json"
    flags = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync "
        "--disable-component-update --disable-dev-shm-usage --enable-logging=stderr --virtual-time-budget=2000"
    )
    files = [f"--user-data-dir={folder / page.stem}", f"--log-net-log={log}"]
    ran = subprocess.run(
        [browser, *flags.split(), *files, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    asked = [e.get("params", {}) for e in json.loads(log.read_text(encoding="utf-8"))["events"]]
    # The browser's own requests are by "not an origin"; those of a page name it.
    urls = [p["url"] for p in asked if p.get("initiator", "not an origin") != "not an origin"]
    return ran.stdout, ran.stderr, urls


def test_page_in_a_browser(page: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    elements, log, asked = _visit(browser, page, tmp_path)
    assert "CONSOLE" not in log
    assert 'id="verdict">Truth: ' in elements
    assert 'aria-pressed="true"' in elements
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    # The same eyes on a page that does both.
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/a.png"><script>nothing();</script>')
    _, log, asked = _visit(browser, bad, tmp_path)
    assert "CONSOLE" in log
    assert "http://127.0.0.1:9/a.png" in asked


def test_event_picture() -> None:
    events = pack(np.arange(5), [1, 1, 2, 2, 2], [0, 0, 1, 1, 1], [1, 1, 0, 0, 1])
    (height, width), picture = (2, 4), event_png(events, 4, 2)
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))
    assert pixels.shape == (height, width, 4)
    assert tuple(pixels[0, 1, :3]) == ON
    assert tuple(pixels[1, 2, :3]) == OFF
    assert pixels[1, 2, 3] > pixels[0, 1, 3] > 0
    assert (pixels[..., 3] > 0).sum() == 2


def test_packed_numbers_come_back() -> None:
    values = np.array([0.4, 1.6, -3.0])
    assert np.frombuffer(base64.b64decode(packed(values, "i2")), "<i2").tolist() == [0, 2, -3]


def test_bars_are_as_long_as_their_values() -> None:
    def widths(svg: str) -> list[float]:
        return [float(w) for w in re.findall(r'class="bar a"[^>]* width="([\d.]+)"', svg)]

    one, two = widths(bars([Bar("x", 0.25, "a"), Bar("y", 0.5, "b")], "t"))
    assert two == pytest.approx(2 * one, rel=0.01)
    ten, thousand, hundred = widths(
        bars([Bar(*r) for r in (("x", 10, ""), ("y", 1000, ""), ("z", 100, ""))], "t", log=True)
    )
    assert thousand - hundred == pytest.approx(hundred - ten, abs=0.2)


def test_matrix_names_truth_and_answer() -> None:
    svg = matrix([[3, 1], [0, 2]], ["joy", "fear"], "t")
    assert "joy answered as fear: 1 of 4" in svg
    assert "fear answered as fear: 2 of 2" in svg


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 W"), (2.5e-3, "2.50 mW"), (999.9, "1.00 kW"), (12.34, "12.3 W"), (456.0, "456 W")]
)
def test_prefixes(value: float, text: str) -> None:
    assert si(value, "W") == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.25, "1.2 s"), (59.6, "1 min 00 s"), (12, "12 s"), (75.2, "1 min 15 s")]
)
def test_durations(value: float, text: str) -> None:
    assert seconds(value) == text
