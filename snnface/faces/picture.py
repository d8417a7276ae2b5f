"""From linear light to what cameras give: luminance and sRGB."""

from __future__ import annotations

import numpy as np

#: Shares of linear red, green and blue in luminance (ITU-R BT.709).
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def _srgb_curve() -> np.ndarray:
    """uint8 ``[65536]``: sRGB (IEC 61966-2-1) of linear light from 0 to 1."""
    linear = np.arange(1 << 16) / 65535
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255).astype(np.uint8)


_SRGB = _srgb_curve()


def luminance(picture: np.ndarray) -> np.ndarray:
    """float32 ``[H, W]`` of linear RGB float32 ``[H, W, 3]``."""
    return picture[..., 0] * LUMA[0] + picture[..., 1] * LUMA[1] + picture[..., 2] * LUMA[2]


def srgb(picture: np.ndarray) -> np.ndarray:
    """uint8 ``[H, W, 3]`` of linear RGB float32 ``[H, W, 3]``, full light at 1."""
    return _SRGB[(np.clip(picture, 0.0, 1.0) * np.float32(65535) + np.float32(0.5)).astype(np.uint16)]
