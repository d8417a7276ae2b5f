"""A picture of one moment: events, RGB, landmarks, and the curves with a cursor."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from snnface.errors import InputError
from snnface.view.colours import Colour, Theme, mixed, palette, table
from snnface.view.look import Curve, Lane, Look, lanes, value_at
from snnface.view.surface import Surface

#: Heights in pixels of the title, the event rate and a lane of curves, and what stands between them.
TITLE, RATE, LANE, GAP = 34, 60, 42, 12
#: Pixels of one bar of the event rate.
BAR = 3
#: Largest height of the pictures, as a share of the board's width.
TALLEST = 0.6
#: What labels and answers are called, as on the page.
WORDS = {"truth": "label", "answer": "network"}
#: Decay times after which nothing is seen of an event, however many there were.
FADED = 10


class Board:
    """Draws a span picture by picture, forward in time; what does not change is drawn once.

    ``width``: pixels of the whole at most. Raises :class:`InputError` where that is too little.
    """

    def __init__(self, look: Look, width: int, tau_us: float, theme: Theme) -> None:
        self.look, self.colour, self.table = look, palette(theme), table(theme)
        self.lanes = lanes(look)
        self.surface = Surface(look.source.width, look.source.height, tau_us)
        pictures = 2 if look.labels is not None and look.labels.rgb else 1
        self.panel = _fitted(look.source.width, look.source.height, (width - (pictures + 1) * GAP) // pictures, width)
        inner = max(self.panel[0] * pictures + GAP * (pictures - 1), min(width, 480) - 2 * GAP)
        self.inner = inner
        self.top = GAP + TITLE + self.panel[1] + GAP
        height = self.top + RATE + LANE * len(self.lanes) + GAP
        #: Pixels, even as video codecs want them.
        self.size = (_even(inner + 2 * GAP), _even(height))
        self._past, self._future = self._still(1.0), self._still(0.35)
        self._shown = -1

    def picture(self, t_us: int) -> Image.Image:
        """The board at a time µs from the span's start, no earlier than that of the last call."""
        forgotten = t_us - int(FADED * self.surface.tau_us)
        self.surface.advance(self.look.events(max(self._shown, forgotten), t_us), t_us)
        self._shown = t_us
        board = self._future.copy()
        cursor = GAP + round(t_us / self.look.span.duration_us * (self.inner - 1))
        board.paste(self._past.crop((0, 0, cursor, self.size[1])))
        self._pictures(board, t_us)
        self._texts(board, t_us, cursor)
        return board

    def _pictures(self, board: Image.Image, t_us: int) -> None:
        place = (GAP, GAP + TITLE)
        points = self.look.points(t_us)
        board.paste(
            self._marked(_scaled(Image.fromarray(self.surface.picture(self.table)), self.panel), points), place
        )
        labels = self.look.labels
        if labels is not None and labels.rgb:
            photograph = _contained(_decoded(labels.rgb[self.look.frame(t_us)]), self.panel, self.colour["field"])
            if labels.aligned:
                photograph = self._marked(photograph, points)
            board.paste(photograph, (place[0] + self.panel[0] + GAP, place[1]))

    def _marked(self, picture: Image.Image, points: dict[str, np.ndarray]) -> Image.Image:
        draw = ImageDraw.Draw(picture)
        scale = self.panel[0] / self.look.source.width
        radius = max(1.2, self.panel[0] / 240)
        for kind, places in points.items():
            for x, y in (places + 0.5) * scale:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), self.colour[kind])
        return picture

    def _texts(self, board: Image.Image, t_us: int, cursor: int) -> None:
        draw = ImageDraw.Draw(board)
        start = self.look.span.start_us
        right = GAP + self.inner
        now = _moment(start + t_us, self.look.span.duration_us)
        draw.text((right, GAP + 4), now, self.colour["ink"], _font(16), anchor="ra")
        x = right - draw.textlength(now, _font(16))
        for kind in self.look.drawn[::-1]:
            x -= GAP
            draw.text((x, GAP + 6), WORDS[kind], self.colour[kind], _font(14), anchor="ra")
            x -= draw.textlength(WORDS[kind], _font(14))
        room = x - 2 * GAP
        draw.text((GAP, GAP + 4), _short(self._title(), _font(16), room), self.colour["ink"], _font(16))
        draw.line((cursor, self.top, cursor, self.size[1] - GAP), self.colour["ink"], 1)
        for i, lane in enumerate(self.lanes):
            y, x = self.top + RATE + LANE * i + 2, right
            for kind, curve in (("answer", lane.answer), ("truth", lane.truth)):
                if curve is not None and (value := value_at(curve, t_us)) is not None:
                    text = f"{100 * value:.0f} %"
                    draw.text((x, y), text, self.colour[kind], _font(13), anchor="ra")
                x -= 48

    def _title(self) -> str:
        labels = self.look.labels
        return " · ".join([self.look.source.title, *(labels.names if labels is not None else ())])

    def _still(self, strength: float) -> Image.Image:
        """The board without its pictures; curves in ``strength`` of their colours."""
        board = Image.new("RGB", self.size, self.colour["paper"])
        draw = ImageDraw.Draw(board, "RGB")

        def faded(name: str, share: float = 1.0) -> Colour:
            return mixed(self.colour[name], self.colour["paper"], share * strength)

        counts = self.look.rate(self.inner // BAR)
        middle = self.top + (RATE - GAP) // 2
        tall = (RATE - GAP) / 2 / max(1, counts.max())
        for i, (off, on) in enumerate(counts.T.tolist()):
            x = GAP + round(i * self.inner / counts.shape[1])
            draw.rectangle((x, middle - on * tall, x + BAR - 2, middle), faded("on"))
            draw.rectangle((x, middle, x + BAR - 2, middle + off * tall), faded("off"))
        for i, lane in enumerate(self.lanes):
            self._lane(draw, lane, self.top + RATE + LANE * i, faded)
        return board

    def _lane(self, draw: ImageDraw.ImageDraw, lane: Lane, y: int, faded) -> None:  # type: ignore[no-untyped-def]
        base = y + LANE - 4
        draw.line((GAP, base, GAP + self.inner, base), self.colour["line"])
        if lane.truth is not None:
            line = self._line(lane.truth, base)
            draw.polygon([(line[0][0], base), *line, (line[-1][0], base)], faded("truth", 0.3))
            draw.line(line, faded("truth"), 1)
        if lane.answer is not None:
            draw.line(self._line(lane.answer, base), faded("answer"), 2)
        draw.text((GAP, y + 2), lane.name, self.colour["soft"], _font(13))

    def _line(self, curve: Curve, base: int) -> list[tuple[float, float]]:
        """A curve's points on the board, held to the span's end."""
        t = np.append(curve.t_us, self.look.span.duration_us).clip(0, self.look.span.duration_us)
        x = GAP + t / self.look.span.duration_us * (self.inner - 1)
        y = base - np.append(curve.values, curve.values[-1]).clip(0, 1) * (LANE - 8)
        return list(zip(x.tolist(), y.tolist(), strict=True))


def _fitted(width: int, height: int, widest: int, board: int) -> tuple[int, int]:
    """Size of the event picture: whole pixels where there is room for them, else smaller."""
    scale = min(widest / width, board * TALLEST / height)
    if scale >= 1:
        scale = int(scale)
    size = (int(width * scale), int(height * scale))
    if min(size) < 16 or widest < 64:
        raise InputError("--width", f"{board} pixels are too little for this sensor", "Use 640 or more")
    return size


def _scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    enlarged = size[0] >= picture.width
    return picture.resize(size, Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX)


def _contained(picture: Image.Image, size: tuple[int, int], field: Colour) -> Image.Image:
    """A photograph in the middle of a panel, whole."""
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inside = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    panel = Image.new("RGB", size, field)
    panel.paste(inside, ((size[0] - inside.width) // 2, (size[1] - inside.height) // 2))
    return panel


def _decoded(picture: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(picture)).convert("RGB")
    except (OSError, ValueError, SyntaxError) as e:
        raise InputError("rgb", f"cannot be decoded ({e})", "Make the data set again") from e


def _moment(t_us: int, span_us: int) -> str:
    """A time in a unit that fits the span."""
    return f"{t_us / 1e6:.3f} s" if span_us > 200_000 else f"{t_us / 1e3:.3f} ms"


def _short(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    while len(text) > 1 and font.getlength(text) > room:
        text = text[:-2] + "…"
    return text


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)  # type: ignore[return-value]


def _even(n: int) -> int:
    return n + n % 2
