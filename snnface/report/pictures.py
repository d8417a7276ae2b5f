"""Pictures as bytes that a page can carry: events, photographs and typed arrays."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

#: Colours of ON and OFF events (red, green, blue), readable on light and on dark paper.
ON, OFF = (46, 125, 214), (226, 104, 46)
#: Opacity of a pixel by its number of events: one, two, three, four and more.
OPACITY = (110, 175, 225, 255)


def event_png(events: np.ndarray, width: int, height: int) -> bytes:
    """A transparent PNG, ``width`` × ``height`` pixels, of structured events (fields x, y, p).

    A pixel has the colour of the polarity that it saw more often, the more opaque the more events it had.
    """
    cell = events["y"].astype(np.int64) * width + events["x"]
    on, off = (np.bincount(cell[events["p"] == polarity], minlength=width * height) for polarity in (1, 0))
    level = np.minimum(on + off, len(OPACITY))
    index = np.where(level == 0, 0, np.where(on >= off, level, level + len(OPACITY)))
    picture = Image.fromarray(index.astype(np.uint8).reshape(height, width), "P")
    picture.putpalette(bytes([0, 0, 0, *ON * len(OPACITY), *OFF * len(OPACITY)]))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", transparency=bytes([0, *OPACITY, *OPACITY]), optimize=True)
    return buffer.getvalue()


def photograph(picture: np.ndarray) -> bytes:
    """A JPEG of uint8 ``[H, W, 3]``."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def data_uri(picture: bytes) -> str:
    """A picture (PNG or JPEG) as an address that holds it."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def packed(values: np.ndarray, dtype: str) -> str:
    """Numbers as base64 of little-endian ``dtype``, rounded where it is an integer type."""
    kind = np.dtype(dtype).newbyteorder("<")
    numbers = np.rint(values) if kind.kind in "iu" and values.dtype.kind == "f" else values
    return base64.b64encode(np.ascontiguousarray(numbers.astype(kind)).tobytes()).decode()
