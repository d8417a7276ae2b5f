"""The fast inner part: vertices moved, lit and drawn through a z-buffer (numba, one core, float32).

Whole numbers are turned to float32 before they meet one: numba would go on in float64.

Samples lie on an uneven pattern (each sample of a pixel has its own row and column offset) and are gathered with a
tent a little wider than a pixel, as a lens does, so that an edge that moves by a fraction of a pixel changes the
light smoothly.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

JIT: dict[str, Any] = {"cache": True, "fastmath": True, "nogil": True, "error_model": "numpy"}
#: Samples that :func:`find_visible` tests at once: a loop of this fixed length becomes vector instructions.
LANES = 16


@numba.njit(**JIT)
def deform(model, amount, jaw_turn, travel, out):  # type: ignore[no-untyped-def]
    """Move the vertices of the :class:`~snnface.faces.model.FaceModel` into ``out`` [V, 3]: fields, jaw, lids, then
    lids pushed in front of the eyeballs (and their inner rims ``model.fold`` cm behind).

    amount [channels]; jaw_turn in radians; travel [2, 2] cm of the upper and lower lid of each eye.
    """
    rest, basis, jaw, eye = model.rest, model.basis, model.jaw, model.eye
    lid_up, lid_low, fold, centre = model.lid_upper, model.lid_lower, model.fold, model.eye_centres
    pivot, radius = model.jaw_pivot, model.lid_radius
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
            y, z = out[v, 1] - pivot[1], out[v, 2] - pivot[2]
            out[v, 1] = pivot[1] + cs * y - sn * z
            out[v, 2] = pivot[2] + sn * y + cs * z
        e = eye[v]
        if e >= 0:
            out[v, 1] += lid_up[v] * travel[e, 0] + lid_low[v] * travel[e, 1]
            dx, dy = out[v, 0] - centre[e, 0], out[v, 1] - centre[e, 1]
            ball = centre[e, 2] + np.sqrt(max(radius * radius - dx * dx - dy * dy, np.float32(0.0)))
            gap = out[v, 2] - ball
            out[v, 2] = ball + np.float32(0.5) * (gap + np.sqrt(gap * gap + np.float32(0.02))) - fold[v]


@numba.njit(**JIT)
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


@numba.njit(**JIT)
def place(model, pose, i, camera, p, screen):  # type: ignore[no-untyped-def]
    """Vertices of moment ``i`` of the :class:`~snnface.faces.pose.Pose`: ``p`` [V, 3] in the head's frame (cm) and
    ``screen`` [V, 3] as of :func:`project`."""
    deform(model, pose.channels[i], pose.jaw[i], pose.lids[i], p)
    project(p, model.follow, pose.head[i], pose.body[i], camera, screen)


@numba.njit(**JIT)
def travelled(model, pose, camera):  # type: ignore[no-untyped-def]
    """float32 ``[F - 1]``: by how much (pixels) any vertex moves in x or y from each moment to the next."""
    moved = np.zeros(pose.channels.shape[0] - 1, np.float32)
    p, screen, before = np.empty_like(model.rest), np.empty_like(model.rest), np.empty_like(model.rest)
    place(model, pose, 0, camera, p, before)
    for i in range(moved.shape[0]):
        place(model, pose, i + 1, camera, p, screen)
        for v in range(p.shape[0]):
            moved[i] = max(moved[i], abs(screen[v, 0] - before[v, 0]), abs(screen[v, 1] - before[v, 1]))
        screen, before = before, screen
    return moved


@numba.njit(**JIT)
def find_normals(p, triangles, normals):  # type: ignore[no-untyped-def]
    """Unit normals [V, 3] of the vertices ``p`` that ``triangles`` [T, 3] share."""
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
        normals[v, 0], normals[v, 1], normals[v, 2] = x * s, y * s, z * s


@numba.njit(**JIT)
def shade_vertices(normals, occlusion, light, shade):  # type: ignore[no-untyped-def]
    """Brightness [V] of vertices with ``normals`` [V, 3].

    light: direction (3), key strength, ambient, up direction (3), all in the head's frame. Lambert with a little
    wrap, an ambient term brighter from above, and a weak fill from the camera's side.
    """
    for v in range(normals.shape[0]):
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        key = (x * light[0] + y * light[1] + z * light[2] + np.float32(0.15)) / np.float32(1.15)
        up = x * light[5] + y * light[6] + z * light[7]
        lit = light[4] * (np.float32(0.8) + np.float32(0.2) * up + np.float32(0.15) * max(z, np.float32(0.0)))
        shade[v] = occlusion[v] * (lit + light[3] * max(key, np.float32(0.0)))


@numba.njit(**JIT)
def shade_eyes(p, eye_vertex, eye_of, upper, shade):  # type: ignore[no-untyped-def]
    """Darken the eyeballs [indices ``eye_vertex``] under the upper lid, at height ``upper`` [2] (cm)."""
    for i in range(eye_vertex.shape[0]):
        v, e = eye_vertex[i], eye_of[i]
        d = (upper[e] - p[v, 1]) / np.float32(0.55)
        shade[v] *= np.float32(0.45) + np.float32(0.55) * min(max(d, np.float32(0.0)), np.float32(1.0))


def slants(length: int) -> np.ndarray:
    """Offsets float32 ``[length]``: sample (x, y) lies at (x + slant[y], y - slant[x]), in an uneven order, so that
    no straight edge crosses many samples of a pixel at once."""
    order = np.array([0, 4, -3, 1, -4, 3, -1, 2, -2], np.float32) / 9
    return np.resize(order, length)


@numba.njit(**JIT)
def find_visible(screen, triangles, uv, shade, samples, slant, planes, depth, owner):  # type: ignore[no-untyped-def]
    """Which triangle each of the ``samples`` × ``samples`` points a pixel shows: ``owner`` int32
    [H·n, W·n + LANES], -1 for none; the last LANES columns are room to work in.

    Triangles count when seen from outside (clockwise on the screen). planes [T, 11] receives for each the place of
    its last corner, then value, slope along x and slope along y of the texture's column, its row and the brightness.
    """
    rows, cols = depth.shape[0], depth.shape[1] - LANES
    one, zero, half, n = np.float32(1.0), np.float32(0.0), np.float32(0.5), np.float32(samples)
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
        # Unsigned numbers: a signed index might count from the end, which keeps the loop from becoming a vector's.
        for y in range(np.uint64(y0), np.uint64(y1 + 1)):
            fx = slant[y] - cx
            fy = np.float32(y) - cy
            for x in range(np.uint64(x0), np.uint64(x1 + 1), np.uint64(LANES)):
                for k in range(np.uint64(LANES)):
                    px = np.float32(np.int64(x + k)) + fx
                    py = fy - slant[x + k]
                    wa = adx * px + ady * py
                    wb = bdx * px + bdy * py
                    near = z + zx * px + zy * py
                    # No branches: most triangles are only a few samples wide.
                    best, old = depth[y, x + k], owner[y, x + k]
                    wins = (min(wa, wb, one - wa - wb) >= zero) & (near > best)
                    depth[y, x + k] = near if wins else best
                    owner[y, x + k] = np.int32(i) if wins else old


@numba.njit(**JIT)
def paint(owner, planes, slant, texture, back, image):  # type: ignore[no-untyped-def]
    """Colour the samples ``image`` [H·n, W·n, 3]: ``texture`` [Ht, Wt, 3] times brightness where a triangle owns
    them, the background ``back`` elsewhere."""
    low_row, low_col = np.int32(texture.shape[0] - 2), np.int32(texture.shape[1] - 2)
    for y in range(image.shape[0]):
        row, offset = np.float32(y), slant[y]
        for x in range(image.shape[1]):
            i = owner[y, x]
            if i < 0:
                for k in range(3):
                    image[y, x, k] = back[y, x, k]
                continue
            px = np.float32(x) + offset - planes[i, 0]
            py = row - slant[x] - planes[i, 1]
            u = planes[i, 2] + planes[i, 3] * px + planes[i, 4] * py
            v = planes[i, 5] + planes[i, 6] * px + planes[i, 7] * py
            s = planes[i, 8] + planes[i, 9] * px + planes[i, 10] * py
            iu = min(max(np.int32(u), np.int32(0)), low_col)
            iv = min(max(np.int32(v), np.int32(0)), low_row)
            fu, fv = u - np.float32(iu), v - np.float32(iv)
            # Shares of the four texels, brightness included.
            w11 = s * fu * fv
            w10, w01 = s * fv - w11, s * fu - w11
            w00 = s - s * fv - w01
            for k in range(3):
                top = w00 * texture[iv, iu, k] + w01 * texture[iv, iu + 1, k]
                image[y, x, k] = top + w10 * texture[iv + 1, iu, k] + w11 * texture[iv + 1, iu + 1, k]
