"""Scenes outdoors: before the shop, car parks, courtyards. What a wall camera sees there and must not count.

    jpeg, boxes = picture(recipe, seed, index)

Everything is as in compose.py but the backdrop, what stands about, and a camera that hangs higher and looks further.
"""

import cv2
import numpy

from . import compose, outdoors, room, textures, things
from .camera import Camera
from .clothes import cloth

GRASS = ((60, 130, 100), (40, 150, 95), (50, 100, 85), (70, 140, 150), (35, 85, 60))
BRICK = ((70, 100, 160), (60, 80, 130), (90, 130, 180), (120, 150, 170), (60, 60, 95))
CHOICE = outdoors.STANDING + things.STANDING[:6]  # posts, tables, boxes, bins and plants stand outdoors as well


def picture(recipe, seed, index):
    cv2.setNumThreads(1)
    rng = numpy.random.Generator(numpy.random.PCG64([seed, index]))
    camera = viewpoint(rng, recipe)
    canvas = backdrop(rng, camera)
    room.marks(rng, canvas, camera)
    cast = compose.people(rng, camera, recipe.overhead)
    cast += compose.furniture(rng, camera, recipe.overhead, CHOICE, rng.integers(2, 16))
    return compose.shot(rng, camera, canvas, cast)


def viewpoint(rng, recipe):
    pitch, above, field = rng.uniform(8, 36), rng.uniform(2.8, 10), rng.uniform(34, 74)
    bend = rng.uniform(0.5, 0.95) if rng.random() < 0.15 else 1.0
    return Camera(recipe.width, recipe.height, above, *numpy.radians((pitch, rng.normal(0, 1.5), field)), bend)


def backdrop(rng, camera):
    """Frame-sized BGR: sky, ground, and up to three rows of houses, walls and hedges, from far to near."""
    rays = camera.all_rays()
    below = numpy.minimum(rays[..., 2], -1e-3)
    reach = numpy.where(rays[..., 2] < -1e-3, -camera.above / below, 1e4).astype(numpy.float32)
    near = numpy.minimum(reach, 300)
    canvas = ground(rng, near * rays[..., 0], near * rays[..., 1], near, camera)
    canvas[reach > 250] = rng.uniform(120, 250) + rng.uniform(-20, 30) * numpy.array([1.0, 0.2, -0.5])
    for far in sorted(rng.uniform(9, 70, rng.integers(1, 4)))[::-1]:
        row(rng, canvas, camera, rays, reach, far)
    return canvas


def ground(rng, x, y, reach, camera):
    """Paving, and grass or other paving beside it, with kerbs between."""
    canvas = paving(rng, x, y, reach, camera)
    for _ in range(rng.integers(0, 4)):
        other = lawn(rng, x, y, reach, camera) if rng.random() < 0.6 else paving(rng, x, y, reach, camera)
        turn, off, half = rng.uniform(0, 3.14), rng.uniform(-6, 25), rng.uniform(1, 14)
        cos, sin = (numpy.float32(f(turn)) for f in (numpy.cos, numpy.sin))
        along, across = y * cos - x * sin, x * cos + y * sin - numpy.float32(off)
        wave, bow = rng.uniform(6, 30), rng.choice((0.0, rng.uniform(0.5, 4)))
        beyond = numpy.abs(across + numpy.float32(bow) * numpy.sin(along / numpy.float32(wave))) - numpy.float32(half)
        canvas[beyond < 0] = other[beyond < 0]
        if rng.random() < 0.7:
            canvas[(beyond > 0) & (beyond < rng.uniform(0.1, 0.3))] = rng.uniform(60, 225) + rng.normal(0, 6, 3)
    return canvas


def lawn(rng, x, y, reach, camera):
    bank = textures.floors()
    shade = room.pattern(rng, bank[rng.integers(4, 8)], x, y, reach, camera, rng.uniform(0.6, 6.0))
    colour = numpy.array(GRASS[rng.integers(len(GRASS))]) * rng.uniform(0.5, 1.3) + rng.normal(0, 8, 3)
    return room.coloured(shade, colour.clip(5, 245), (colour * rng.uniform(0.8, 1.5)).clip(5, 245))


def paving(rng, x, y, reach, camera):
    bank = textures.floors()
    shade = room.pattern(rng, bank[rng.integers(len(bank))], x, y, reach, camera, rng.uniform(0.8, 8.0))
    colour = rng.uniform(50, 215) + rng.normal(0, 6, 3)
    return room.coloured(shade, colour.clip(5, 245), (colour * rng.uniform(0.8, 1.25)).clip(5, 245))


def row(rng, canvas, camera, rays, reach, far):
    """A house, a wall or a hedge across the view, `far` metres away where it is nearest."""
    turn = rng.uniform(-0.8, 0.8)
    ahead = rays[..., 0] * numpy.float32(numpy.cos(turn)) + rays[..., 1] * numpy.float32(numpy.sin(turn))
    there = numpy.where(ahead > 1e-3, far / numpy.maximum(ahead, 1e-3), 1e4).astype(numpy.float32)
    x, y, z = (there * rays[..., axis] for axis in range(3))
    along = y * numpy.float32(numpy.cos(turn)) - x * numpy.float32(numpy.sin(turn))
    height = z + numpy.float32(camera.above)
    left = rng.uniform(-1.6, 0.6) * far
    right = left + rng.uniform(0.3, 3.0) * far
    kind = rng.random()
    top = rng.uniform(3, 14) if kind < 0.6 else rng.uniform(0.8, 5)
    seen = (there < reach) & (there < 200) & (along > left) & (along < right) & (height > 0)
    if kind >= 0.6 and kind < 0.85:  # leaves end in a ragged line
        teeth = sum(numpy.sin(along * numpy.float32(k * rng.uniform(0.7, 1.3)) + rng.uniform(0, 6)) / k for k in (1, 2, 5, 9))
        seen &= height < top * (1 + 0.12 * teeth)
    else:
        seen &= height < top
    if not seen.any():
        return
    if kind < 0.6:
        face = house(rng, along - numpy.float32(left), height, there, camera)
    elif kind < 0.85:
        face = lawn(rng, along, height, there, camera)
    else:
        face = room.surface(rng, along, height, there, camera, rng.uniform(1.0, 6.0))
        room.panels(rng, face, along, height, far)
    cv2.copyTo(face, seen.astype(numpy.uint8), canvas)


def house(rng, along, height, reach, camera):
    """Brick or plaster with windows in storeys, some doors, a plinth."""
    bank = textures.floors()
    if rng.random() < 0.6:
        colour = numpy.array(BRICK[rng.integers(len(BRICK))]) * rng.uniform(0.6, 1.2) + rng.normal(0, 8, 3)
        shade = room.pattern(rng, bank[15], along, height, reach, camera, rng.uniform(0.9, 3.0))
    else:
        colour = rng.uniform(70, 235) + rng.normal(0, 14, 3)
        shade = room.pattern(rng, bank[rng.integers(len(bank))], along, height, reach, camera, rng.uniform(1, 8))
    face = room.coloured(shade, colour.clip(5, 245), (colour * rng.uniform(0.8, 1.3)).clip(5, 245))
    wide, storey = rng.uniform(0.9, 4.5), rng.uniform(2.5, 3.8)
    share, tall, sill = rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.3)
    u, v = along / numpy.float32(wide), height / numpy.float32(storey)
    column, level = numpy.floor(u).astype(int), numpy.floor(v).astype(int)
    u, v = u - column, v - level
    half, frame = share / 2, rng.uniform(0.01, 0.05)
    door = (level == 0) & (column % rng.integers(2, 9) == 0)
    bottom = numpy.where(door, 0.0, sill)
    pane = (numpy.abs(u - 0.5) < half) & (v > bottom) & (v < sill + tall)
    glass = pane & (numpy.abs(u - 0.5) < half - frame) & (v > bottom + frame) & (v < sill + tall - frame)
    if rng.random() < 0.5:  # bars between the panes
        cut = rng.uniform(0.35, 0.65)
        glass &= (numpy.abs(u - 0.5) > frame / 2) & (numpy.abs(v - sill - tall * cut) > frame / 2)
    face[pane] = cloth(rng) if rng.random() < 0.5 else rng.uniform(150, 245)
    dark = rng.uniform(8, 110)
    shades = (dark + rng.normal(0, 25, (7, 11, 1)) + rng.normal(0, 6, 3)).clip(3, 250)
    curtain = rng.random((7, 11)) < 0.12
    shades[curtain] = rng.uniform(60, 240, (int(curtain.sum()), 3))
    face[glass] = shades[level[glass] % 7, column[glass] % 11]
    if rng.random() < 0.5:
        face[height < rng.uniform(0.2, 0.9)] = rng.uniform(30, 170)
    if rng.random() < 0.4:  # a band between the storeys
        face[(v > 1 - rng.uniform(0.03, 0.12)) & ~pane] = rng.uniform(40, 230)
    return face
