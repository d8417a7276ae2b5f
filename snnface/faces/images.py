"""The fast part that works on whole pictures: samples gathered into pixels, furrows, clouds, a background that slides
(numba, one core, float32)."""

from __future__ import annotations

import numba
import numpy as np

from snnface.faces.render import JIT


@numba.njit(**JIT)
def slide(wide, down, right, out):  # type: ignore[no-untyped-def]
    """``out`` [R, C, 3]: the part of ``wide`` (larger) that starts ``down`` rows and ``right`` columns in it; these
    need not be whole."""
    r0, c0 = int(down), int(right)
    fy, fx = np.float32(down - r0), np.float32(right - c0)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for k in range(3):
                a, b = wide[r0 + y, c0 + x, k], wide[r0 + y, c0 + x + 1, k]
                c, d = wide[r0 + y + 1, c0 + x, k], wide[r0 + y + 1, c0 + x + 1, k]
                top, low = a + fx * (b - a), c + fx * (d - c)
                out[y, x, k] = top + fy * (low - top)


@numba.njit(**JIT)
def gather(image, n, weights, stray, row, out):  # type: ignore[no-untyped-def]
    """Average samples ``image`` [H·n, W·n · 3] into pixels ``out`` [H, W, 3] with the separable window ``weights``
    [m], centred on the pixel, and add ``stray``; ``row`` [(W·n + m - n) · 3] is room to work in."""
    rows, width = image.shape
    m = weights.shape[0]
    edge = (m - n) // 2
    inner = row[3 * edge : 3 * edge + width]
    for y in range(out.shape[0]):
        inner[:] = 0.0
        for k in range(m):
            samples, w = image[min(max(y * n - edge + k, 0), rows - 1)], weights[k]
            for x in range(width):
                inner[x] += w * samples[x]
        # The window reaches over the edges of the picture: their samples go on.
        for k in range(3 * edge):
            row[k] = inner[k % 3]
            row[3 * edge + width + k] = inner[width - 3 + k % 3]
        for x in range(out.shape[1]):
            for c in range(3):
                total = stray
                for k in range(m):
                    total += weights[k] * row[3 * (x * n + k) + c]
                out[y, x, c] = total


@numba.njit(**JIT)
def wrinkle(base, patches, boxes, starts, amount, touched, out):  # type: ignore[no-untyped-def]
    """Set ``out`` to the texture ``base`` [Ht, Wt, 3] darkened or brightened by the layers that are at work.

    Layer i covers the box (row0, row1, col0, col1) and lies at ``starts[i]`` in the flat ``patches``; it multiplies
    the texture by ``1 + amount[i] · patch``. ``touched`` [layers] remembers what the last call changed.
    """
    for i in range(boxes.shape[0]):
        if touched[i] or amount[i] != 0.0:
            r0, r1, c0, c1 = boxes[i]
            out[r0:r1, c0:c1] = base[r0:r1, c0:c1]
    for i in range(boxes.shape[0]):
        touched[i] = amount[i] != 0.0
        if touched[i]:
            r0, r1, c0, c1 = boxes[i]
            k = starts[i]
            for r in range(r0, r1):
                for c in range(c0, c1):
                    g = max(np.float32(1.0) + amount[i] * patches[k], np.float32(0.15))
                    k += 1
                    for ch in range(out.shape[2]):
                        out[r, c, ch] *= g


@numba.njit(**JIT)
def add_clouds(rows, cells, cols, out):  # type: ignore[no-untyped-def]
    """Add ``rows @ cells @ cols.T`` to ``out`` [R, C]. Few numbers: threads of a matrix library would only wait."""
    across = np.zeros((cells.shape[1], cols.shape[0]), np.float32)
    for k in range(cells.shape[0]):
        for m in range(cells.shape[1]):
            for x in range(cols.shape[0]):
                across[k, x] += cells[k, m] * cols[x, m]
    for y in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            for x in range(cols.shape[0]):
                out[y, x] += rows[y, k] * across[k, x]


def window(n: int) -> np.ndarray:
    """Weights of ``n + 2 (n // 2)`` samples a side that sum to 1: a box of a pixel with shoulders half as high."""
    weights = np.full(n + 2 * (n // 2), 0.5)
    weights[n // 2 : n // 2 + n] = 1.0
    return (weights / weights.sum()).astype(np.float32)
