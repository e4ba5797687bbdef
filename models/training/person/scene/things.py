"""What stands about in shops and is no person: each function adds to a figure, upright at the origin, metres."""

import numpy

from .clothes import Outfit, cloth

WIRE = 0.008


def post(rng, figure):
    """Bollards, queue posts, pillars: what detectors like to take for people."""
    radius, high = ((0.03, 1.0), (0.06, 0.9), (0.11, 1.0), (0.05, 3.0), (0.2, 3.5))[rng.integers(5)]
    radius, high, colour = radius * rng.uniform(0.8, 1.3), high * rng.uniform(0.7, 1.2), cloth(rng)
    rings = rng.integers(1, 5)
    other = cloth(rng) if rng.random() < 0.5 else colour
    for k in range(rings):
        low, top = high * k / rings, high * (k + 1) / rings
        figure.capsule((0, 0, low, radius), (0, 0, top, radius), other if k % 2 else colour)
    figure.disc(0, 0, 0.02, radius * 2.2, colour * 0.7)
    if rng.random() < 0.3:
        figure.part([figure.ball(0, 0, high, radius * rng.uniform(1.2, 2.0))], other)


def table(rng, figure):
    high, radius, colour = rng.uniform(0.45, 1.15), rng.uniform(0.16, 0.7), cloth(rng)
    figure.capsule((0, 0, 0, 0.04), (0, 0, high, 0.04), colour * 0.6)
    if rng.random() < 0.6:
        figure.disc(0, 0, high, radius, colour)
    else:
        figure.block((0, 0, high - 0.02), (radius * 2, radius * rng.uniform(1, 3), 0.05), colour)
    for _ in range(rng.integers(0, 6)):
        x, y = rng.uniform(-0.6, 0.6, 2) * radius
        figure.part([figure.ball(x, y, high + 0.05, rng.uniform(0.03, 0.1))], cloth(rng))


def boxes(rng, figure):
    up = 0.0
    for _ in range(rng.integers(1, 5)):
        size = rng.uniform(0.2, 0.7, 3)
        figure.block((*rng.uniform(-0.06, 0.06, 2), up + size[2] / 2), size, cloth(rng), rng.uniform(0, 0.5))
        up += size[2]


def bin_(rng, figure):
    radius, high, colour = rng.uniform(0.12, 0.3), rng.uniform(0.3, 1.0), cloth(rng)
    figure.part([figure.ball(x, y, z, radius * 0.5) for x, y in ((radius / 2, 0), (-radius / 2, 0)) for z in (radius / 2, high)], colour)
    figure.disc(0, 0, high + radius * 0.3, radius * rng.uniform(0.6, 1.0), cloth(rng))


def plant(rng, figure):
    figure.capsule((0, 0, 0.1, 0.14), (0, 0, 0.35, 0.18), cloth(rng))
    green = numpy.array([40, 110, 60]) * rng.uniform(0.5, 1.4)
    for _ in range(rng.integers(8, 20)):
        x, y = rng.normal(0, 0.16, 2)
        tip = (x * 1.8, y * 1.8, rng.uniform(0.6, 1.6), 0.03)
        figure.capsule((x * 0.2, y * 0.2, 0.45, 0.02), tip, green * rng.uniform(0.6, 1.3))


def trolley(rng, figure):
    """A wire basket on wheels, pushed from -x."""
    grey = numpy.full(3, rng.uniform(70, 220)) if rng.random() < 0.8 else cloth(rng)
    long, wide, top, floor = rng.uniform(0.7, 1.0), rng.uniform(0.45, 0.6), 1.0, rng.uniform(0.35, 0.6)
    rim = [(x * long / 2, y * wide / 2, top) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    base = [(x * long * 0.4, y * wide * 0.38, floor) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    figure.part([figure.ball(*corner) for corner in base], grey * 0.5)
    for _ in range(rng.integers(0, 6)):
        x, y = rng.uniform(-0.3, 0.3) * long, rng.uniform(-0.3, 0.3) * wide
        size = rng.uniform(0.1, 0.3, 3)
        figure.block((x, y, floor + size[2] / 2), size, cloth(rng), rng.uniform(0, 1.5))
    for k in range(4):
        a, b, c, d = rim[k], rim[(k + 1) % 4], base[k], base[(k + 1) % 4]
        figure.capsule((*a, WIRE * 1.6), (*b, WIRE * 1.6), grey)
        for share in (0.0, 0.25, 0.5, 0.75):
            high, low = (tuple(p + share * (q - p) for p, q in zip(*ends)) for ends in ((a, b), (c, d)))
            figure.capsule((*high, WIRE), (*low, WIRE), grey * 0.8)
    figure.capsule((-long / 2 - 0.1, -wide / 2, 1.05, 0.018), (-long / 2 - 0.1, wide / 2, 1.05, 0.018), cloth(rng))
    for x, y, _ in base:
        figure.part([figure.ball(x, y, 0.06, 0.06)], numpy.full(3, 30.0))


def wheel(figure, x, y, radius, colour):
    ring = [(x + radius * numpy.cos(a), y, radius + radius * numpy.sin(a)) for a in numpy.arange(10) * 0.6283]
    for a, b in zip(ring, ring[1:] + ring[:1]):
        figure.capsule((*a, 0.016), (*b, 0.016), colour)


def pram(rng, figure):
    """Pushed from -x. Whoever lies in it is not counted."""
    colour, frame = cloth(rng), numpy.full(3, rng.uniform(30, 200))
    figure.part([figure.ball(x, y, z, 0.12) for x in (-0.15, 0.3) for y in (-0.1, 0.1) for z in (0.5, 0.62)], colour)
    figure.part([figure.ball(x, y, 0.8, 0.14) for x in (-0.18, 0.02) for y in (-0.08, 0.08)], colour * 0.85)
    if rng.random() < 0.6:
        figure.part([figure.ball(0.12, 0, 0.72, 0.08)], Outfit(rng).skin)
    for y in (-0.24, 0.24):
        figure.capsule((0.1, y, 0.4, 0.014), (-0.55, y, 1.02, 0.014), frame)
        for x in (-0.3, 0.35):
            wheel(figure, x, y, rng.uniform(0.1, 0.15), numpy.full(3, 30.0))
    figure.capsule((-0.55, -0.24, 1.02, 0.018), (-0.55, 0.24, 1.02, 0.018), frame * 0.6)


def wheelchair(rng, figure):
    """Around somebody who sits at the origin."""
    colour, metal = cloth(rng) * 0.6, numpy.full(3, rng.uniform(60, 210))
    figure.part([figure.ball(x, y, 0.46, 0.03) for x in (-0.2, 0.25) for y in (-0.2, 0.2)], colour)
    figure.part([figure.ball(-0.24, y, z, 0.02) for y in (-0.2, 0.2) for z in (0.46, 0.92)], colour)
    for y in (-0.29, 0.29):
        wheel(figure, -0.1, y, 0.3, metal * 0.5)
        figure.capsule((-0.2, y * 0.85, 0.68, 0.02), (0.15, y * 0.85, 0.68, 0.02), metal)
        figure.capsule((-0.26, y * 0.8, 0.92, 0.015), (-0.4, y * 0.8, 0.96, 0.015), metal)
        figure.capsule((0.3, y * 0.7, 0.44, 0.015), (0.5, y * 0.6, 0.1, 0.015), metal)


def rack(rng, figure):
    """Garments on a rail: shoulders without heads."""
    count, high = rng.integers(4, 11), rng.uniform(1.2, 1.6)
    same = cloth(rng) if rng.random() < 0.3 else None
    for k in range(count):
        x = (k - count / 2) * rng.uniform(0.07, 0.14)
        colour = cloth(rng) if same is None else same * rng.uniform(0.8, 1.1)
        length, wide = rng.uniform(0.5, 0.9), rng.uniform(0.13, 0.2)
        balls = [figure.ball(x, y, high, 0.04) for y in (-wide, wide)]
        figure.part(balls + [figure.ball(x, y * 0.9, high - length, 0.03) for y in (-wide, wide)], colour)
    half = count * 0.08
    figure.capsule((-half, 0, high + 0.08, 0.015), (half, 0, high + 0.08, 0.015), numpy.full(3, 150.0))


def shelf(rng, figure):
    """A gondola with goods on the side of +x."""
    wide, high, deep = rng.uniform(0.8, 3.0), rng.uniform(1.0, 2.2), rng.uniform(0.3, 0.6)
    figure.block((-deep / 2, 0, high / 2), (deep, wide, high), cloth(rng) * 0.8)
    rows = rng.integers(2, 6)
    for row in range(rows):
        y, low, step = -wide / 2, high * row / rows + 0.04, high / rows
        same = cloth(rng)
        while y < wide / 2 - 0.08:
            size, tall = rng.uniform(0.07, 0.3), step * rng.uniform(0.4, 0.85)
            colour = same * rng.uniform(0.7, 1.2) if rng.random() < 0.5 else cloth(rng)
            corners = [(0.01, min(y + a * size, wide / 2), low + b * tall) for a in (0, 0.9) for b in (0, 1)]
            figure.part([figure.ball(*corner) for corner in corners], colour)
            y += size


def door(rng, figure):
    """A leaf at some angle on its hinges; from above a thin bar."""
    colour, wide = cloth(rng), rng.uniform(0.7, 1.1)
    figure.block((wide / 2, 0, 1.0), (wide, 0.05, 2.0), colour)
    figure.part([figure.ball(wide * 0.9, side * 0.06, 1.05, 0.03) for side in (-1, 1)], numpy.full(3, 190.0))
    if rng.random() < 0.5:
        pane = [(wide * a, 0.03, b) for a in (0.2, 0.8) for b in (0.9, 1.8)]
        figure.part([figure.ball(*corner) for corner in pane], cloth(rng))


def dog(rng, figure):
    colour, size = Outfit(rng).hair, rng.uniform(0.5, 1.1)
    figure.capsule((-0.3 * size, 0, 0.45 * size, 0.11 * size), (0.25 * size, 0, 0.47 * size, 0.12 * size), colour)
    figure.capsule((0.35 * size, 0, 0.6 * size, 0.08 * size), (0.5 * size, 0, 0.56 * size, 0.05 * size), colour)
    for x in (-0.3, 0.25):
        for y in (-0.07, 0.07):
            figure.capsule((x * size, y * size, 0.4 * size, 0.04 * size), (x * size, y * size, 0.04, 0.03 * size), colour)


def case(rng, figure):
    """A suitcase on wheels."""
    colour = cloth(rng)
    high = rng.uniform(0.45, 0.75)
    figure.part([figure.ball(x, y, z, 0.05) for x in (-0.07, 0.07) for y in (-0.16, 0.16) for z in (0.1, high)], colour)
    figure.capsule((-0.08, 0, high, 0.012), (-0.08, 0, high + 0.4, 0.012), colour * 0.5)


def round_thing(rng, figure):
    """Heads that are none: balloons, lamps, balls, hats on a stand."""
    high, radius = rng.uniform(0.2, 2.1), rng.uniform(0.07, 0.22)
    figure.part([figure.ball(0, 0, high, radius)], cloth(rng))
    if rng.random() < 0.5:
        figure.capsule((0, 0, 0, 0.012), (0, 0, high - radius, 0.012), cloth(rng))


STANDING = (post, post, table, boxes, bin_, plant, trolley, pram, rack, shelf, door, dog, case, round_thing)
