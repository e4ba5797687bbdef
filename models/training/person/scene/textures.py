"""Pictures of surfaces, made once per process from a seed of their own, so that they are the same for every scene.

Grey, SIZE x SIZE, 128 on average, and without a seam where they meet themselves.
"""

import functools

import cv2
import numpy

SIZE = 512


def noise(rng, cells, octaves=4):
    """Value noise that repeats: sums of random lattices, each finer and weaker than the last."""
    total = numpy.zeros((SIZE, SIZE), numpy.float32)
    for octave in range(octaves):
        count = cells << octave
        if count > SIZE:
            break
        lattice = rng.standard_normal((count, count), dtype=numpy.float32)
        lattice = numpy.pad(lattice, 2, mode="wrap")
        step = SIZE // count
        fine = cv2.resize(lattice, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += fine[2 * step : 2 * step + SIZE, 2 * step : 2 * step + SIZE] * 0.55**octave
    return total / (total.std() + 1e-6)


def byte(field, deviation):
    return (128 + deviation * field).clip(0, 255).astype(numpy.uint8)


def tiles(rng, across, down, joint, wild, offset=0.0):
    """A floor of tiles, planks or bricks: joints of `joint` pixels, each piece a shade of its own."""
    rows, columns = numpy.mgrid[0:SIZE, 0:SIZE]
    row = rows * down // SIZE
    moved = (columns + (row * offset * SIZE / across).astype(int)) % SIZE
    column = moved * across // SIZE
    shade = rng.normal(0, wild, (down, across)).astype(numpy.float32)[row, column]
    edge = ((rows * down) % SIZE < joint * down) | ((moved * across) % SIZE < joint * across)
    return numpy.where(edge, rng.choice((-55, 40)), shade) / 128 * 128


@functools.cache
def floors():
    rng = numpy.random.default_rng(71)
    bank = []
    for cells in (2, 4, 16, 64):
        bank.append(byte(noise(rng, cells, 5), 18))
        bank.append(byte(noise(rng, cells, 3), 34))
    for across, down, joint, wild, offset in (
        (4, 4, 3, 3, 0.0), (8, 8, 3, 10, 0.0), (8, 8, 2, 30, 0.0), (2, 16, 1, 14, 0.37), (4, 16, 2, 18, 0.5),
        (16, 16, 2, 6, 0.0), (1, 8, 2, 8, 0.0), (8, 16, 4, 12, 0.5),
    ):
        bank.append((128 + tiles(rng, across, down, joint, wild, offset) + 6 * noise(rng, 8)).clip(0, 255).astype(numpy.uint8))
    rows, columns = numpy.mgrid[0:SIZE, 0:SIZE]
    bank.append(byte(numpy.where((rows // 64 + columns // 64) % 2 == 0, 1.0, -1.0), 45))
    bank.append(byte(numpy.where(columns % 64 < 20, 1.0, -0.4), 40))
    return bank


@functools.cache
def fabrics():
    """Multiplies the colours of people and things: folds, prints, stripes, checks."""
    rng = numpy.random.default_rng(72)
    rows, columns = numpy.mgrid[0:SIZE, 0:SIZE]
    bank = [byte(noise(rng, cells, 4), deviation) for cells, deviation in ((16, 14), (32, 18), (32, 30), (64, 26))]
    for period in (8, 14, 24):
        bank.append(byte(numpy.sign(numpy.sin(rows * 2 * numpy.pi / period)) + 0.3 * noise(rng, 32), 34))
    bank.append(byte(numpy.sign(numpy.sin(rows * 0.6)) + numpy.sign(numpy.sin(columns * 0.6)), 22))
    return bank


@functools.cache
def grain():
    """What the sensor adds: three channels of noise with deviation 1/16, kept as signed bytes."""
    rng = numpy.random.default_rng(73)
    fine = rng.standard_normal((SIZE, 2 * SIZE, 3), dtype=numpy.float32)
    coarse = cv2.GaussianBlur(rng.standard_normal((SIZE, 2 * SIZE, 3), dtype=numpy.float32), (0, 0), 1.2) * 3.6
    return [(16 * field).clip(-127, 127).astype(numpy.int8) for field in (fine, coarse)]


@functools.cache
def clouds():
    """Soft light and dark, for lamps and stains."""
    rng = numpy.random.default_rng(74)
    return [byte(noise(rng, cells, 2), 44) for cells in (2, 2, 4, 4, 8)]


def patch(rng, texture, height, width):
    """A window into a texture that repeats."""
    y, x = (int(v) for v in rng.integers(SIZE, size=2))
    return twice(texture)[y : y + height, x : x + width]


def twice(texture):
    """The texture beside and above itself, kept for the next time."""
    key = id(texture)
    if key not in TWICE:
        TWICE[key] = (texture, numpy.concatenate([numpy.concatenate([texture] * 2, 1)] * 2, 0))
    return TWICE[key][1]


TWICE = {}
