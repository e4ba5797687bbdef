"""The one solid everything is made of: the hull of a few balls, in one colour, painted from back to front.

A ball is a limb's end, two make a capsule, four a piece of a torso; balls without radius are the corners of a flat
face. Outlines are rounded to 1/16 pixel before they are painted, so that the last bits of sines do not matter.
"""

import typing

import cv2
import numpy

STEPS = 12
CIRCLE = numpy.stack([numpy.cos(numpy.arange(STEPS) * 2 * numpy.pi / STEPS),
                      numpy.sin(numpy.arange(STEPS) * 2 * numpy.pi / STEPS)], 1)
FRACTION = 4  # bits of a pixel
# Radius, shift towards the light in radii, brightness: dark rims and a lit middle make a disc look round.
SHADES = ((1.0, 0.0, 0.66), (0.80, 0.14, 0.85), (0.50, 0.32, 1.0))


class Part(typing.NamedTuple):
    balls: list
    colour: tuple
    labelled: bool  # belongs to the box that the detector is to find
    bare: bool  # skin and hair, which no cloth's pattern covers


class Figure:
    def __init__(self):
        self.balls, self.parts = [], []

    def ball(self, forward, left, up, radius=0.0):
        self.balls.append((forward, left, up, radius))
        return len(self.balls) - 1

    def part(self, balls, colour, labelled=False, bare=False):
        self.parts.append(Part(list(balls), colour, labelled, bare))

    def capsule(self, a, b, colour, labelled=False):
        self.part((self.ball(*a), self.ball(*b)), colour, labelled)

    def block(self, centre, size, colour, turn=0.0):
        """A box; sides get a shade each."""
        (x, y, z), (a, b, c) = centre, (side / 2 for side in size)
        cos, sin = numpy.cos(turn), numpy.sin(turn)
        corner = {}
        for i in (-1, 1):
            for j in (-1, 1):
                for k in (-1, 1):
                    corner[i, j, k] = self.ball(x + i * a * cos - j * b * sin, y + i * a * sin + j * b * cos, z + k * c)
        shade = lambda share: tuple(share * part for part in colour)
        for i, share in ((-1, 0.55), (1, 0.8)):
            self.part([corner[i, j, k] for j in (-1, 1) for k in (-1, 1)], shade(share))
        for j, share in ((-1, 0.7), (1, 0.62)):
            self.part([corner[i, j, k] for i in (-1, 1) for k in (-1, 1)], shade(share))
        self.part([corner[i, j, 1] for i in (-1, 1) for j in (-1, 1)], colour)

    def disc(self, x, y, z, radius, colour):
        self.part([self.ball(x + radius * c, y + radius * s, z) for c, s in CIRCLE], colour)

    def placed(self, x, y, facing):
        """n x 4 balls in the world."""
        balls = numpy.array(self.balls)
        cos, sin = numpy.cos(facing), numpy.sin(facing)
        world = balls.copy()
        world[:, 0] = x + balls[:, 0] * cos - balls[:, 1] * sin
        world[:, 1] = y + balls[:, 0] * sin + balls[:, 1] * cos
        return world


class Seen:
    """A figure as the camera sees it."""

    def __init__(self, parts, world, camera):
        self.pixels, scale, self.distance, self.ahead = camera.project(world[:, :3])
        self.radius = world[:, 3] * scale
        ahead, distance = self.ahead.tolist(), self.distance.tolist()
        self.parts = [part for part in parts if all(ahead[i] for i in part.balls)]
        # From back to front, as a painter does.
        self.parts.sort(key=lambda part: -sum(distance[i] for i in part.balls) / len(part.balls))
        self.camera = camera

    def outlines(self, grow=1.0, shift=0.0, light=(0.0, 0.0)):
        """n x STEPS x 2 integers: every ball's circle, in 1/16 pixel."""
        centre = self.pixels + shift * self.radius[:, None] * numpy.asarray(light)
        circles = centre[:, None] + CIRCLE * (grow * self.radius)[:, None, None]
        return numpy.rint((circles.clip(-8000, 8000) - 0.5) * (1 << FRACTION)).astype(numpy.int32)

    def box(self):
        """Corners of all labelled parts, over the frame's edge too; None when there are none."""
        mine = sorted({i for part in self.parts if part.labelled for i in part.balls})
        if not mine:
            return None
        low = (self.pixels[mine] - self.radius[mine, None]).min(0)
        high = (self.pixels[mine] + self.radius[mine, None]).max(0)
        return numpy.concatenate([low, high])

    def window(self, margin=2):
        """The part of the frame it may touch as two slices, or None."""
        balls = [i for part in self.parts for i in part.balls]
        if not balls:
            return None
        low = (self.pixels[balls] - self.radius[balls, None]).min(0) - margin
        high = (self.pixels[balls] + self.radius[balls, None]).max(0) + margin
        x0, y0 = numpy.maximum(low, 0).astype(int)
        x1, y1 = numpy.minimum(high + 1, (self.camera.width, self.camera.height)).astype(int)
        return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None

    def paint(self, canvas, light, flat=0.0):
        """`light`: towards the light in the picture, length up to 1. `flat`: 1 leaves no shading."""
        large = self.radius.max() > 2.5
        shades = SHADES if large and flat < 0.7 else SHADES[:1]
        shades = [(self.outlines(g, s, light), b + flat * (0.9 - b)) for g, s, b in shades]
        flat = (self.radius < 0.4).tolist()
        for part in self.parts:
            colour, balls = [float(channel) for channel in part.colour], part.balls
            if all(flat[i] for i in balls):
                hull(canvas, shades[0][0][balls], colour)
                continue
            for outlines, brightness in shades:
                hull(canvas, outlines[balls], [brightness * channel for channel in colour])

    def mask(self):
        """Frame-sized: 0 nothing, 1 the figure, 2 its labelled parts, 3 those that are bare (skin and hair)."""
        mask = numpy.zeros((self.camera.height, self.camera.width), numpy.uint8)
        outlines = self.outlines()
        for level in (1, 2, 3):
            for part in self.parts:
                if 1 + part.labelled + (part.labelled and part.bare) == level:
                    hull(mask, outlines[part.balls], level, cv2.LINE_8)
        return mask


def hull(canvas, outlines, colour, line=cv2.LINE_AA):
    points = cv2.convexHull(outlines.reshape(-1, 2))
    cv2.fillConvexPoly(canvas, points, colour, line, FRACTION)
