"""What stands about outdoors and is no person: each function adds to a figure, upright at the origin, metres."""

import numpy

from .clothes import cloth
from .figure import CIRCLE
from .things import wheel

PAINT = ((235, 235, 235), (200, 200, 205), (120, 120, 125), (40, 38, 38), (25, 25, 28), (40, 40, 150), (140, 70, 30),
         (60, 90, 60), (150, 180, 200))
SIGN = ((180, 90, 20), (40, 40, 200), (70, 140, 40), (240, 240, 240), (60, 200, 240))
ORANGE, WHITE = numpy.array([30.0, 90.0, 235.0]), numpy.full(3, 235.0)


def paint(rng):
    return numpy.array(PAINT[rng.integers(len(PAINT))], float) + rng.normal(0, 8, 3)


def tyre(figure, x, y, radius):
    ring = [figure.ball(x + radius * c, y, radius + radius * s) for c, s in CIRCLE]
    figure.part(ring, numpy.full(3, 26.0))
    hub = [figure.ball(x + 0.5 * radius * c, y * 1.01, radius + 0.5 * radius * s) for c, s in CIRCLE]
    figure.part(hub, numpy.full(3, 130.0))


def cabin(figure, low, high, wide, colour, glass):
    """From (front, back, height) to the roof's; glass all round, pillars in the paint."""
    (a, b, z), (c, d, top) = low, high
    inner = wide * 0.88
    base = {(x, s): figure.ball(x, s * wide / 2, z) for x in (a, b) for s in (-1, 1)}
    roof = {(x, s): figure.ball(x, s * inner / 2, top) for x in (c, d) for s in (-1, 1)}
    for s in (-1, 1):
        figure.part([base[a, s], base[b, s], roof[c, s], roof[d, s]], glass * 0.9)
    for x, y in ((a, c), (b, d)):
        figure.part([base[x, -1], base[x, 1], roof[y, -1], roof[y, 1]], glass)
    for x, y in ((a, c), (b, d)):
        for s in (-1, 1):
            figure.part([figure.ball(x, s * wide / 2, z, 0.035), figure.ball(y, s * inner / 2, top, 0.035)], colour * 0.8)
    figure.part(list(roof.values()), colour)


def car(rng, figure):
    colour, glass = paint(rng), numpy.full(3, rng.uniform(12, 90)) + rng.normal(0, 6, 3)
    long, wide = rng.uniform(3.5, 4.9), rng.uniform(1.6, 1.9)
    waist, top = rng.uniform(0.8, 1.0), rng.uniform(1.38, 1.75)
    figure.block((0, 0, (0.25 + waist) / 2), (long, wide, waist - 0.25), colour)
    tail = -0.46 if rng.random() < 0.5 else -0.34
    cabin(figure, (0.22 * long, tail * long, waist), (0.08 * long, (tail + 0.1) * long, top), wide * 0.94, colour, glass)
    lights(rng, figure, long, wide, waist)


def van(rng, figure):
    colour, glass = WHITE if rng.random() < 0.5 else paint(rng), numpy.full(3, rng.uniform(12, 80))
    long, wide, top = rng.uniform(4.4, 6.2), rng.uniform(1.8, 2.1), rng.uniform(1.9, 2.7)
    figure.block((-0.1 * long, 0, (0.3 + top) / 2), (0.8 * long, wide, top - 0.3), colour)
    figure.block((0.4 * long, 0, 0.68), (0.2 * long, wide, 0.76), colour)
    cabin(figure, (0.46 * long, 0.3 * long, 1.05), (0.36 * long, 0.3 * long, top * 0.95), wide * 0.97, colour, glass)
    if rng.random() < 0.4:
        for s in (-1, 1):
            corners = [figure.ball(a * long, s * wide * 0.502, z) for a in (-0.4, 0.2) for z in (1.0, 1.0 + rng.uniform(0.2, 0.7))]
            figure.part(corners, cloth(rng))
    lights(rng, figure, long, wide, 1.0)


def lights(rng, figure, long, wide, waist):
    radius = rng.uniform(0.28, 0.34)
    for x in (-0.31, 0.31):
        for s in (-1, 1):
            tyre(figure, x * long, s * wide * 0.505, radius)
    for x, colour in ((0.502, WHITE), (-0.502, numpy.array([30.0, 30.0, 170.0]))):
        for s in (-1, 1):
            corners = [figure.ball(x * long, s * wide * f, waist - z) for f in (0.3, 0.47) for z in (0.06, 0.2)]
            figure.part(corners, colour)


def bicycle(rng, figure):
    colour, dark = cloth(rng), numpy.full(3, 30.0)
    for x in (-0.52, 0.52):
        wheel(figure, x, 0.0, 0.33, dark)
    for a, b in (((-0.52, 0.33), (-0.15, 0.85)), ((-0.15, 0.85), (0.4, 0.8)), ((-0.1, 0.3), (0.4, 0.8)), ((0.4, 0.95), (0.52, 0.33)),
                 ((-0.52, 0.33), (-0.1, 0.3)), ((-0.1, 0.3), (-0.15, 0.9))):
        figure.capsule((a[0], 0, a[1], 0.02), (b[0], 0, b[1], 0.02), colour)
    figure.capsule((0.38, -0.25, 1.0, 0.018), (0.38, 0.25, 1.0, 0.018), dark)
    figure.capsule((-0.25, 0, 0.95, 0.05), (-0.05, 0, 0.95, 0.03), dark)


def lamp(rng, figure):
    high, colour = rng.uniform(3.0, 8.0), numpy.full(3, rng.uniform(40, 220)) + rng.normal(0, 6, 3)
    figure.capsule((0, 0, 0, 0.09), (0, 0, high, 0.05), colour)
    figure.capsule((0, 0, 0, 0.13), (0, 0, rng.uniform(0.4, 1.2), 0.12), colour * 0.9)
    arm = rng.choice((0.0, rng.uniform(0.5, 1.6)))
    figure.capsule((0, 0, high, 0.04), (arm, 0, high + 0.15, 0.04), colour)
    figure.part([figure.ball(arm + x, y, high + 0.12, 0.06) for x in (-0.15, 0.25) for y in (-0.06, 0.06)], colour * 0.8)
    if rng.random() < 0.4:
        plate(rng, figure, rng.uniform(1.3, 2.6))


def plate(rng, figure, high):
    """A sign that looks along x, `high` metres up."""
    colour, size = numpy.array(SIGN[rng.integers(len(SIGN))], float), rng.uniform(0.2, 0.45)
    shape = CIRCLE if rng.random() < 0.4 else numpy.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (1, rng.uniform(0.5, 1.6))
    for x, share, shade in ((0.08, 1.0, colour), (0.1, rng.uniform(0.4, 0.8), WHITE if rng.random() < 0.7 else colour * 0.4)):
        figure.part([figure.ball(x, size * share * a, high + size * share * b) for a, b in shape], shade)


def sign(rng, figure):
    high = rng.uniform(1.0, 2.6)
    figure.capsule((0, 0, 0, 0.03), (0, 0, high + 0.3, 0.03), numpy.full(3, rng.uniform(60, 200)))
    for k in range(rng.integers(1, 3)):
        plate(rng, figure, high - 0.5 * k)


def cone(rng, figure):
    size, colour = rng.uniform(0.4, 1.0), ORANGE if rng.random() < 0.8 else cloth(rng)
    figure.block((0, 0, 0.02), (0.5 * size, 0.5 * size, 0.04), colour * 0.7)
    for low, top, shade in ((0.0, 1.0, colour), (0.35, 0.6, WHITE)):
        width = lambda share: 0.2 * size * (1 - 0.8 * share) + 0.003
        disc = lambda share: [figure.ball(width(share) * c, width(share) * s, size * share) for c, s in CIRCLE]
        figure.part(disc(low) + disc(top), shade)


def tripod(rng, figure):
    high, spread, colour = rng.uniform(1.0, 1.8), rng.uniform(0.35, 0.6), numpy.full(3, rng.uniform(15, 160))
    for angle in (0.0, 2.1, 4.2):
        figure.capsule((spread * numpy.cos(angle), spread * numpy.sin(angle), 0, 0.02), (0, 0, high, 0.025), colour)
    if rng.random() < 0.6:
        figure.block((0, 0, high + 0.08), rng.uniform(0.08, 0.3, 3), colour * 0.7)


def barrier(rng, figure):
    wide, high = rng.uniform(1.2, 3.0), rng.uniform(0.7, 1.1)
    first, second = (numpy.array([40.0, 40.0, 190.0]), WHITE) if rng.random() < 0.5 else (cloth(rng), cloth(rng))
    for y in (-wide / 2, wide / 2):
        figure.capsule((0, y, 0, 0.03), (0, y, high, 0.03), second * 0.7)
    for z in (high, high * 0.55):
        for k in range(6):
            low, top = (-0.5 + k / 6) * wide, (-0.5 + (k + 1) / 6) * wide
            corners = [figure.ball(0, y, z + d) for y in (low, top) for d in (-0.09, 0.09)]
            figure.part(corners, second if k % 2 else first)


def fence(rng, figure):
    wide, high, colour = rng.uniform(3, 9), rng.uniform(0.7, 2.0), cloth(rng)
    step = rng.uniform(0.12, 1.2)
    for y in numpy.arange(-wide / 2, wide / 2, step):
        figure.capsule((0, y, 0, 0.02), (0, y, high, 0.02), colour)
    for z in (high * 0.2, high * 0.95):
        figure.capsule((0, -wide / 2, z, 0.02), (0, wide / 2, z, 0.02), colour)


def bench(rng, figure):
    colour, wide = cloth(rng), rng.uniform(1.2, 2.2)
    figure.block((0, 0, 0.45), (0.45, wide, 0.06), colour)
    if rng.random() < 0.6:
        figure.block((-0.22, 0, 0.7), (0.06, wide, 0.3), colour * 0.9)
    for y in (-wide * 0.4, wide * 0.4):
        figure.block((0, y, 0.21), (0.4, 0.08, 0.42), colour * 0.5)


def tree(rng, figure):
    green = numpy.array([rng.uniform(25, 70), rng.uniform(60, 130), rng.uniform(40, 110)])
    trunk, high, wide = rng.uniform(0.06, 0.22), rng.uniform(2.2, 6.0), rng.uniform(0.6, 2.0)
    bark = numpy.array([50.0, 65.0, 80.0]) * rng.uniform(0.5, 1.3)
    figure.capsule((0, 0, 0, trunk), (0, 0, high * 0.6, trunk * 0.7), bark)
    bare = rng.random() < 0.3
    for _ in range(rng.integers(6, 16)):
        x, y = rng.normal(0, wide * 0.4, 2)
        z = high * rng.uniform(0.55, 1.0)
        if bare:
            figure.capsule((0, 0, high * rng.uniform(0.35, 0.6), trunk * 0.5), (x, y, z, trunk * 0.15), bark)
        else:
            figure.part([figure.ball(x, y, z, wide * rng.uniform(0.2, 0.45))], green * rng.uniform(0.6, 1.3))


def bush(rng, figure):
    green, wide = numpy.array([rng.uniform(25, 70), rng.uniform(60, 130), rng.uniform(40, 100)]), rng.uniform(0.2, 0.9)
    for _ in range(rng.integers(3, 9)):
        x, y = rng.normal(0, wide * 0.5, 2)
        figure.part([figure.ball(x, y, wide * rng.uniform(0.3, 1.0), wide * rng.uniform(0.3, 0.6))], green * rng.uniform(0.6, 1.3))


def letterbox(rng, figure):
    """Also cabinets, pumps and ticket machines: as high and wide as somebody who stands."""
    high, colour = rng.uniform(0.9, 1.9), cloth(rng) if rng.random() < 0.5 else numpy.array(SIGN[rng.integers(len(SIGN))], float)
    wide = high * rng.uniform(0.25, 0.5)
    figure.block((0, 0, high / 2), (wide * rng.uniform(0.6, 1), wide, high), colour)
    if rng.random() < 0.6:
        corners = [figure.ball(wide * 0.51, a * wide, high * b) for a in (-0.3, 0.3) for b in (0.6, 0.85)]
        figure.part(corners, cloth(rng))


def board(rng, figure):
    """An advertisement on two legs or as a tent."""
    wide, high, colour = rng.uniform(0.5, 1.2), rng.uniform(0.8, 1.9), cloth(rng)
    figure.part([figure.ball(x, y, z) for x, z in ((0.25, 0.0), (0.03, high)) for y in (-wide / 2, wide / 2)], colour)
    figure.part([figure.ball(x, y, z) for x, z in ((-0.25, 0.0), (-0.03, high)) for y in (-wide / 2, wide / 2)], colour * 0.7)
    face = [figure.ball(0.26 - 0.22 * b, a * wide, high * b) for a in (-0.4, 0.4) for b in (0.15, 0.9)]
    figure.part(face, cloth(rng))


def parasol(rng, figure):
    high, wide, colour = rng.uniform(2.1, 2.7), rng.uniform(0.9, 1.7), cloth(rng)
    figure.capsule((0, 0, 0, 0.03), (0, 0, high, 0.03), numpy.full(3, 160.0))
    rim = [figure.ball(wide * c, wide * s, high - 0.3) for c, s in CIRCLE]
    for k in range(12):
        figure.part([rim[k], rim[(k + 1) % 12], figure.ball(0, 0, high + 0.2)], colour * (1.0 if k % 2 else 0.85))


def litter(rng, figure):
    """Bags, blankets, leaves, patches: flat and bright."""
    size, colour = rng.uniform(0.15, 0.8), cloth(rng) if rng.random() < 0.5 else WHITE
    balls = [figure.ball(*(rng.normal(0, size / 2, 2)), rng.uniform(0.0, 0.2), rng.uniform(0.01, 0.1)) for _ in range(5)]
    figure.part(balls, colour)


STANDING = (car, car, car, van, bicycle, lamp, lamp, sign, sign, cone, tripod, barrier, fence, bench, tree, bush, letterbox,
            board, parasol, litter, litter)
