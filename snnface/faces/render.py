"""The fast inner part: vertices moved, lit and drawn through a z-buffer (numba, one core, float32).

Samples lie on an uneven pattern (each sample of a pixel has its own row and column offset) and are gathered with a
tent a little wider than a pixel, as a lens does, so that an edge that moves by a fraction of a pixel changes the
light smoothly.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_JIT: dict[str, Any] = {"cache": True, "fastmath": True, "nogil": True, "error_model": "numpy"}


@numba.njit(**_JIT)
def deform(
    rest, basis, amount, jaw, jaw_pivot, jaw_turn, lid_up, lid_low, eye, fold, eye_centre, travel, radius, out
):  # type: ignore[no-untyped-def]
    """Move the vertices ``rest`` [V, 3] into ``out``: fields, jaw, lids, then lids pushed in front of the eyeballs
    (and their inner rims ``fold`` [V] cm behind).

    basis [C, V, 3] and amount [C]; jaw_turn in radians; travel [2, 2] cm of the upper and lower lid of each eye.
    """
    n = rest.shape[0]
    for v in range(n):
        out[v, 0], out[v, 1], out[v, 2] = rest[v, 0], rest[v, 1], rest[v, 2]
    for c in range(basis.shape[0]):
        a = amount[c]
        if a != 0.0:
            for v in range(n):
                out[v, 0] += a * basis[c, v, 0]
                out[v, 1] += a * basis[c, v, 1]
                out[v, 2] += a * basis[c, v, 2]
    for v in range(n):
        if jaw[v] > 0.0 and jaw_turn != 0.0:
            angle = jaw[v] * jaw_turn
            cs, sn = np.cos(angle), np.sin(angle)
            y, z = out[v, 1] - jaw_pivot[1], out[v, 2] - jaw_pivot[2]
            out[v, 1] = jaw_pivot[1] + cs * y - sn * z
            out[v, 2] = jaw_pivot[2] + sn * y + cs * z
        e = eye[v]
        if e >= 0:
            out[v, 1] += lid_up[v] * travel[e, 0] + lid_low[v] * travel[e, 1]
            dx, dy = out[v, 0] - eye_centre[e, 0], out[v, 1] - eye_centre[e, 1]
            ball = eye_centre[e, 2] + np.sqrt(max(radius * radius - dx * dx - dy * dy, np.float32(0.0)))
            gap = out[v, 2] - ball
            out[v, 2] = ball + np.float32(0.5) * (gap + np.sqrt(gap * gap + np.float32(0.02))) - fold[v]


@numba.njit(**_JIT)
def light_vertices(p, triangles, occlusion, light, normals, shade):  # type: ignore[no-untyped-def]
    """Vertex normals [V, 3] of ``p`` and their brightness [V].

    light: direction (3), key strength, ambient, up direction (3), all in the head's frame. Lambert with a little
    wrap, an ambient term brighter from above, and a weak fill from the camera's side.
    """
    normals[:] = 0.0
    for i in range(triangles.shape[0]):
        a, b, c = triangles[i, 0], triangles[i, 1], triangles[i, 2]
        ux, uy, uz = p[b, 0] - p[a, 0], p[b, 1] - p[a, 1], p[b, 2] - p[a, 2]
        vx, vy, vz = p[c, 0] - p[a, 0], p[c, 1] - p[a, 1], p[c, 2] - p[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for v in range(p.shape[0]):
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        s = np.float32(1.0) / np.sqrt(x * x + y * y + z * z + np.float32(1e-12))
        x, y, z = x * s, y * s, z * s
        normals[v, 0], normals[v, 1], normals[v, 2] = x, y, z
        key = (x * light[0] + y * light[1] + z * light[2] + np.float32(0.15)) / np.float32(1.15)
        up = x * light[5] + y * light[6] + z * light[7]
        lit = light[4] * (np.float32(0.8) + np.float32(0.2) * up + np.float32(0.15) * max(z, np.float32(0.0)))
        shade[v] = occlusion[v] * (lit + light[3] * max(key, np.float32(0.0)))


@numba.njit(**_JIT)
def shade_eyes(p, eye_vertex, eye_of, upper, shade):  # type: ignore[no-untyped-def]
    """Darken the eyeballs [indices ``eye_vertex``] under the upper lid, at height ``upper`` [2] (cm)."""
    for i in range(eye_vertex.shape[0]):
        v, e = eye_vertex[i], eye_of[i]
        d = (upper[e] - p[v, 1]) / np.float32(0.55)
        shade[v] *= np.float32(0.45) + np.float32(0.55) * min(max(d, np.float32(0.0)), np.float32(1.0))


@numba.njit(**_JIT)
def project(p, follow, head, body, camera, out):  # type: ignore[no-untyped-def]
    """Perspective: ``p`` [V, 3] → ``out`` [V, 3] (x and y in pixels, 1/distance).

    head, body: [3, 4] rigid motions, blended by ``follow`` [V]. camera: focal length (pixels), distance (cm), centre.
    """
    for v in range(p.shape[0]):
        x, y, z, w = p[v, 0], p[v, 1], p[v, 2], follow[v]
        q0 = head[0, 0] * x + head[0, 1] * y + head[0, 2] * z + head[0, 3]
        q1 = head[1, 0] * x + head[1, 1] * y + head[1, 2] * z + head[1, 3]
        q2 = head[2, 0] * x + head[2, 1] * y + head[2, 2] * z + head[2, 3]
        if w < 1.0:
            u = np.float32(1.0) - w
            q0 = w * q0 + u * (body[0, 0] * x + body[0, 1] * y + body[0, 2] * z + body[0, 3])
            q1 = w * q1 + u * (body[1, 0] * x + body[1, 1] * y + body[1, 2] * z + body[1, 3])
            q2 = w * q2 + u * (body[2, 0] * x + body[2, 1] * y + body[2, 2] * z + body[2, 3])
        inv = np.float32(1.0) / (camera[1] - q2)
        out[v, 0] = camera[2] + camera[0] * q0 * inv
        out[v, 1] = camera[3] - camera[0] * q1 * inv
        out[v, 2] = inv


def slants(length: int) -> np.ndarray:
    """Offsets float32 ``[length]``: sample (x, y) lies at (x + slant[y], y - slant[x]), in an uneven order, so that
    no straight edge crosses many samples of a pixel at once."""
    order = np.array([0, 4, -3, 1, -4, 3, -1, 2, -2], np.float32) / 9
    return np.resize(order, length)


@numba.njit(**_JIT)
def find_visible(screen, triangles, uv, shade, n, slant, planes, depth, owner):  # type: ignore[no-untyped-def]
    """Which triangle each of the ``n`` × ``n`` samples a pixel shows: ``owner`` int32 [H·n, W·n], -1 for none.

    Triangles count when seen from outside (clockwise on the screen). planes [T, 11] receives for each the place of
    its last corner, then value, slope along x and slope along y of the texture's column, its row and the brightness.
    """
    rows, cols = depth.shape
    one, zero, half = np.float32(1.0), np.float32(0.0), np.float32(0.5)
    reach = np.float32(4 / 9)
    depth[:] = 0.0
    owner[:] = -1
    for i in range(triangles.shape[0]):
        a, b, c = triangles[i, 0], triangles[i, 1], triangles[i, 2]
        # Samples' centres are whole numbers here.
        ax, ay = screen[a, 0] * n - half, screen[a, 1] * n - half
        bx, by = screen[b, 0] * n - half, screen[b, 1] * n - half
        cx, cy = screen[c, 0] * n - half, screen[c, 1] * n - half
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= np.float32(-1e-6):
            continue
        x0 = max(int(np.ceil(min(ax, bx, cx) - reach)), 0)
        x1 = min(int(np.floor(max(ax, bx, cx) + reach)), cols - 1)
        y0 = max(int(np.ceil(min(ay, by, cy) - reach)), 0)
        y1 = min(int(np.floor(max(ay, by, cy) + reach)), rows - 1)
        if x1 < x0 or y1 < y0:
            continue
        inv = one / area
        # Barycentric weights of a and b are linear in the sample's place relative to c.
        adx, ady = (by - cy) * inv, (cx - bx) * inv
        bdx, bdy = (cy - ay) * inv, (ax - cx) * inv
        z, za, zb = screen[c, 2], screen[a, 2] - screen[c, 2], screen[b, 2] - screen[c, 2]
        ua, ub = uv[a, 0] - uv[c, 0], uv[b, 0] - uv[c, 0]
        va, vb = uv[a, 1] - uv[c, 1], uv[b, 1] - uv[c, 1]
        sa, sb = shade[a] - shade[c], shade[b] - shade[c]
        zx, zy = za * adx + zb * bdx, za * ady + zb * bdy
        planes[i, 0], planes[i, 1] = cx, cy
        planes[i, 2], planes[i, 3], planes[i, 4] = uv[c, 0], ua * adx + ub * bdx, ua * ady + ub * bdy
        planes[i, 5], planes[i, 6], planes[i, 7] = uv[c, 1], va * adx + vb * bdx, va * ady + vb * bdy
        planes[i, 8], planes[i, 9], planes[i, 10] = shade[c], sa * adx + sb * bdx, sa * ady + sb * bdy
        for y in range(y0, y1 + 1):
            fx = slant[y] - cx
            fy = np.float32(y) - cy
            for x in range(x0, x1 + 1):
                px = np.float32(x) + fx
                py = fy - slant[x]
                wa = adx * px + ady * py
                wb = bdx * px + bdy * py
                near = z + zx * px + zy * py
                # No branches: most triangles are only a few samples wide.
                best, old = depth[y, x], owner[y, x]
                wins = (min(wa, wb, one - wa - wb) >= zero) & (near > best)
                depth[y, x] = near if wins else best
                owner[y, x] = np.int32(i) if wins else old


@numba.njit(**_JIT)
def paint(owner, planes, slant, texture, image):  # type: ignore[no-untyped-def]
    """Colour the samples ``image`` [C, H·n, W·n] that a triangle owns: ``texture`` [C, Ht, Wt] times brightness."""
    rows, cols = owner.shape
    for y in range(rows):
        for x in range(cols):
            i = owner[y, x]
            if i < 0:
                continue
            px = np.float32(x) + slant[y] - planes[i, 0]
            py = np.float32(y) - slant[x] - planes[i, 1]
            u = planes[i, 2] + planes[i, 3] * px + planes[i, 4] * py
            v = planes[i, 5] + planes[i, 6] * px + planes[i, 7] * py
            s = planes[i, 8] + planes[i, 9] * px + planes[i, 10] * py
            iu = min(max(int(u), 0), texture.shape[2] - 2)
            iv = min(max(int(v), 0), texture.shape[1] - 2)
            fu, fv = u - np.float32(iu), v - np.float32(iv)
            for k in range(image.shape[0]):
                top = texture[k, iv, iu] + fu * (texture[k, iv, iu + 1] - texture[k, iv, iu])
                low = texture[k, iv + 1, iu] + fu * (texture[k, iv + 1, iu + 1] - texture[k, iv + 1, iu])
                image[k, y, x] = s * (top + fv * (low - top))


@numba.njit(**_JIT)
def gather(image, n, weights, row, out):  # type: ignore[no-untyped-def]
    """Average samples ``image`` [C, H·n, W·n] into pixels ``out`` [C, H, W] with the separable window ``weights``,
    centred on the pixel; ``row`` [W·n] is room to work in."""
    channels, rows, cols = image.shape
    m = weights.shape[0]
    first = -((m - n) // 2)
    for c in range(channels):
        for y in range(out.shape[1]):
            row[:] = 0.0
            for k in range(m):
                j = min(max(y * n + first + k, 0), rows - 1)
                for x in range(cols):
                    row[x] += weights[k] * image[c, j, x]
            for x in range(out.shape[2]):
                total = np.float32(0.0)
                for k in range(m):
                    total += weights[k] * row[min(max(x * n + first + k, 0), cols - 1)]
                out[c, y, x] = total


@numba.njit(**_JIT)
def wrinkle(base, patches, boxes, starts, amount, touched, out):  # type: ignore[no-untyped-def]
    """Set ``out`` to the texture ``base`` [C, Ht, Wt] darkened or brightened by the layers that are at work.

    Layer i covers the box (row0, row1, col0, col1) and lies at ``starts[i]`` in the flat ``patches``; it multiplies
    the texture by ``1 + amount[i] · patch``. ``touched`` [layers] remembers what the last call changed.
    """
    for i in range(boxes.shape[0]):
        if touched[i] or amount[i] != 0.0:
            r0, r1, c0, c1 = boxes[i]
            out[:, r0:r1, c0:c1] = base[:, r0:r1, c0:c1]
    for i in range(boxes.shape[0]):
        touched[i] = amount[i] != 0.0
        if touched[i]:
            r0, r1, c0, c1 = boxes[i]
            k = starts[i]
            for r in range(r0, r1):
                for c in range(c0, c1):
                    g = max(np.float32(1.0) + amount[i] * patches[k], np.float32(0.15))
                    k += 1
                    for ch in range(out.shape[0]):
                        out[ch, r, c] *= g


def window(n: int) -> np.ndarray:
    """Weights of ``n + 2 (n // 2)`` samples a side that sum to 1: a box of a pixel with shoulders half as high."""
    weights = np.full(n + 2 * (n // 2), 0.5)
    weights[n // 2 : n // 2 + n] = 1.0
    return (weights / weights.sum()).astype(np.float32)
