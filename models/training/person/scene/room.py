"""The empty room: floor, walls, marks on them, and how the light falls."""

import cv2
import numpy

from . import textures
from .clothes import cloth


def background(rng, camera, overhead):
    """Frame-sized BGR."""
    rays = camera.all_rays()
    far = rng.uniform(2.0, 14.0) if rng.random() < 0.75 else 60.0  # metres to the wall
    turn = rng.uniform(-0.9, 0.9)
    ahead = rays[..., 0] * numpy.float32(numpy.cos(turn)) + rays[..., 1] * numpy.float32(numpy.sin(turn))
    reach_floor = numpy.where(rays[..., 2] < -1e-3, -camera.above / numpy.minimum(rays[..., 2], -1e-3), 1e4)
    reach_wall = numpy.where(ahead > 1e-3, far / numpy.maximum(ahead, 1e-3), 1e4)
    on_wall = (reach_wall < reach_floor) & (not overhead or far > 2.6)
    reach = numpy.minimum(numpy.where(on_wall, reach_wall, reach_floor), 200).astype(numpy.float32)
    x, y, z = (reach * rays[..., axis] for axis in range(3))
    floor = surface(rng, x, y, reach, camera, rng.uniform(0.6, 4.0))
    if not on_wall.any():
        return floor
    along = x * numpy.float32(-numpy.sin(turn)) + y * numpy.float32(numpy.cos(turn))
    wall = surface(rng, along, z, reach, camera, rng.uniform(1.0, 6.0))
    panels(rng, wall, along, z + camera.above, far)
    cv2.copyTo(wall, on_wall.astype(numpy.uint8), floor)
    return floor


def surface(rng, u, v, reach, camera, metres):
    """Any texture in any colour."""
    bank = textures.floors()
    shade = pattern(rng, bank[rng.integers(len(bank))], u, v, reach, camera, metres)
    colour = floor_colour(rng)
    other = colour * rng.uniform(0.7, 1.3) if rng.random() < 0.8 else floor_colour(rng)
    return coloured(shade, colour, other)


def pattern(rng, texture, u, v, reach, camera, metres):
    """A texture that repeats every `metres`; it fades where it is too far off to be seen."""
    turn, scale = rng.choice((0.0, rng.uniform(0, 3.2))), textures.SIZE / metres
    cos, sin = numpy.float32(numpy.cos(turn) * scale), numpy.float32(numpy.sin(turn) * scale)
    map_u, map_v = cv2.addWeighted(u, cos, v, -sin, 0), cv2.addWeighted(u, sin, v, cos, 0)
    grey = cv2.remap(texture, map_u, map_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    # How many texture pixels fall into one of the frame's: beyond some there is only flicker.
    coarse = numpy.maximum(reach * numpy.float32(scale / camera.focal / 2), 1)
    fade = numpy.float32(rng.uniform(0.1, 1.0)) / coarse
    return cv2.add((grey.astype(numpy.float32) - 128) * fade, 128.0, dtype=cv2.CV_8U)


def coloured(shade, colour, other):
    """`colour` where `shade` is dark, towards `other` where it is bright."""
    value = numpy.arange(256)[:, None] / 128
    share = (value - 0.6).clip(0, 1)
    palette = ((colour * (1 - share) + other * share) * value).clip(0, 255).astype(numpy.uint8)
    return cv2.LUT(cv2.merge([shade] * 3), palette[None])


def floor_colour(rng):
    """Mostly grey, often wood or stone, now and then any."""
    kind, value = rng.random(), rng.uniform(20, 230)
    if kind < 0.15:
        return cloth(rng)
    if kind < 0.22:  # grass, felt
        return (value * numpy.array([0.55, 0.9, 0.7]) + rng.normal(0, 8, 3)).clip(5, 245)
    warm = rng.uniform(0, 0.3) if kind < 0.55 else 0.0
    return (value * numpy.array([1 - warm, 1.0, 1 + warm]) + rng.normal(0, 6, 3)).clip(5, 245)


def panels(rng, wall, along, height, far):
    """Windows, posters, screens, doorways: rectangles on the wall, some with smaller ones inside."""
    for _ in range(rng.integers(0, 7)):
        left, wide = rng.uniform(-1.2, 1.0) * far, rng.uniform(0.3, 2.5)
        low, high = rng.uniform(0.0, 1.5), rng.uniform(0.5, 2.2)
        u, v = (along - left) / wide, (height - low) / high
        inside = (u > 0) & (u < 1) & (v > 0) & (v < 1)
        if not inside.any():
            continue
        columns, rows = rng.integers(1, 7, 2)
        shades = numpy.stack([cloth(rng) for _ in range(columns * rows)]).reshape(rows, columns, 3)
        if rng.random() < 0.4:
            shades[:] = cloth(rng)
        cell = shades[(v[inside] * rows).astype(int), (u[inside] * columns).astype(int)]
        wall[inside] = cell.clip(0, 255).astype(numpy.uint8)


def marks(rng, canvas, camera):
    """Mats, strips, stickers, spilt light: polygons on the floor."""
    for _ in range(rng.integers(0, 5)):
        pixel = rng.uniform(0, 1, 2) * (camera.width, camera.height)
        spot = camera.spot(pixel, 0.0)
        if spot is None or abs(spot).max() > 30:
            continue
        turn, length = rng.uniform(0, 3.2), rng.choice((0.3, 1.0, 6.0)) * rng.uniform(0.5, 1.5)
        wide = rng.choice((0.08, 0.4, 1.2)) * rng.uniform(0.5, 1.5)
        corners = numpy.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (length / 2, wide / 2)
        if rng.random() < 0.2:
            steps = numpy.arange(14) * (2 * numpy.pi / 14)
            corners = numpy.stack([numpy.cos(steps), numpy.sin(steps)], 1) * wide
        cos, sin = numpy.cos(turn), numpy.sin(turn)
        world = numpy.zeros((len(corners), 3))
        world[:, :2] = spot + corners @ numpy.array([[cos, sin], [-sin, cos]])
        pixels, _, _, ahead = camera.project(world)
        if ahead.all():
            outline = numpy.rint(pixels.clip(-4000, 4000) * 16).astype(numpy.int32)
            if rng.random() < 0.35:
                blend(canvas, outline, cloth(rng), rng.uniform(0.2, 0.7))
            else:
                cv2.fillPoly(canvas, [outline], cloth(rng), cv2.LINE_AA, 4)


def blend(canvas, outline, colour, share):
    over = canvas.copy()
    cv2.fillPoly(over, [outline], colour, cv2.LINE_AA, 4)
    cv2.addWeighted(over, share, canvas, 1 - share, 0, canvas)


def shadow(rng, camera, seen, sun, softness, depth):
    """Multiplies the floor: 255 lit. `sun`: metres sideways for each metre of height."""
    layer = numpy.full((camera.height, camera.width), 255, numpy.uint8)
    for parts, world in seen:
        flat = world.copy()
        flat[:, :2] += sun * numpy.maximum(world[:, 2:3], 0)
        flat[:, 2] = 0.0
        pixels, scale, _, ahead = camera.project(flat[:, :3])
        circles = pixels[:, None] + CIRCLE * (0.85 * world[:, 3] * scale)[:, None, None]
        outlines = numpy.rint(circles.clip(-8000, 8000) * 16).astype(numpy.int32)
        for part in parts:
            if ahead[part.balls].all():
                points = cv2.convexHull(outlines[part.balls].reshape(-1, 2))
                cv2.fillConvexPoly(layer, points, int(255 * (1 - depth)), cv2.LINE_8, 4)
    return cv2.GaussianBlur(layer, (0, 0), softness) if softness > 0.4 else layer


CIRCLE = numpy.stack([numpy.cos(numpy.arange(6) * numpy.pi / 3), numpy.sin(numpy.arange(6) * numpy.pi / 3)], 1)


def light(rng, camera):
    """Frame-sized factors, 128 = 1, or None: pools of lamps, a window's gradient, a hard edge of sunlight."""
    if rng.random() < 0.25:
        return None
    field = numpy.full((camera.height, camera.width), 128, numpy.uint8)
    bank = textures.clouds()
    pool = textures.patch(rng, bank[rng.integers(len(bank))], camera.height, camera.width)
    field = cv2.addWeighted(field, 1 - (s := rng.uniform(0.1, 0.7)), pool, s, 0)
    if rng.random() < 0.35:  # sunlight through a door or a window
        corners = rng.uniform(-0.2, 1.2, (4, 2)) * (camera.width, camera.height)
        patch = numpy.full_like(field, 128)
        hull = cv2.convexHull(numpy.rint(corners).astype(numpy.int32))
        cv2.fillConvexPoly(patch, hull, int(rng.uniform(40, 255)))
        patch = cv2.GaussianBlur(patch, (0, 0), rng.uniform(0.6, 12.0))
        field = cv2.multiply(field, patch, scale=1 / 128)
    return field
