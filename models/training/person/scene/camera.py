"""A camera above the origin that looks along +x and down; the floor is z = 0, metres, z up.

A ray at angle t to the optical axis lands f * tan(k t) / k pixels from the centre: k = 1 is a pinhole, smaller k a
fisheye (0.5 stereographic, towards 0 equidistant).
"""

import cv2
import numpy


class Camera:
    def __init__(self, width, height, above, pitch, roll, field, bend):
        """`above` the floor in metres; `pitch` below the horizon, `roll` and horizontal `field` of view in radians."""
        self.width, self.height, self.above, self.bend = width, height, above, bend
        self.focal = width / 2 * bend / numpy.tan(bend * field / 2)
        self.centre = numpy.array([width / 2, height / 2])
        right, up = numpy.array([0.0, -1.0, 0.0]), numpy.array([numpy.sin(pitch), 0.0, numpy.cos(pitch)])
        self.forward = numpy.array([numpy.cos(pitch), 0.0, -numpy.sin(pitch)])
        self.right = numpy.cos(roll) * right + numpy.sin(roll) * up
        self.down = numpy.sin(roll) * right - numpy.cos(roll) * up
        self.place = numpy.array([0.0, 0.0, above])

    def project(self, points):
        """n x 3 metres to: n x 2 pixels, pixels a metre there, distance in metres, and whether it lies before us."""
        ray = points - self.place
        along, across, down = ray @ self.forward, ray @ self.right, ray @ self.down
        aside = numpy.hypot(across, down)
        angle = numpy.arctan2(aside, along)
        radius = self.focal * numpy.tan(numpy.minimum(self.bend * angle, 1.5)) / self.bend
        distance = numpy.hypot(aside, along)
        pixels = self.centre + numpy.stack([across, down], 1) * (radius / numpy.maximum(aside, 1e-9))[:, None]
        ahead = (angle < 1.35) & (distance > 0.15)
        return pixels, radius / numpy.maximum(aside, 1e-9), distance, ahead

    def rays(self, pixels):
        """... x 2 pixels to unit vectors."""
        offset = (pixels - self.centre) / self.focal
        radius = numpy.hypot(offset[..., 0], offset[..., 1])
        angle = numpy.arctan(self.bend * radius) / self.bend
        across = numpy.sin(angle) / numpy.maximum(radius, 1e-9)
        return (
            numpy.cos(angle)[..., None] * self.forward
            + (across * offset[..., 0])[..., None] * self.right
            + (across * offset[..., 1])[..., None] * self.down
        )

    def all_rays(self):
        """height x width x 3, exact every eighth pixel and bent straight between: nobody sees the difference."""
        rows, columns = numpy.mgrid[4 : self.height : 8, 4 : self.width : 8]
        coarse = self.rays(numpy.stack([columns, rows], 2)).astype(numpy.float32)
        # One more sample on every side, so that resizing does not repeat the edge.
        coarse = numpy.concatenate([2 * coarse[:1] - coarse[1:2], coarse, 2 * coarse[-1:] - coarse[-2:-1]])
        coarse = numpy.concatenate([2 * coarse[:, :1] - coarse[:, 1:2], coarse, 2 * coarse[:, -1:] - coarse[:, -2:-1]], 1)
        fine = cv2.resize(coarse, None, fx=8, fy=8, interpolation=cv2.INTER_LINEAR)
        return fine[8 : 8 + self.height, 8 : 8 + self.width]

    def spot(self, pixel, level):
        """Where the ray through a pixel meets the plane z = `level`, or None above the horizon."""
        ray = self.rays(numpy.asarray(pixel, float))
        if ray[2] > -0.02:
            return None
        reach = (level - self.above) / ray[2]
        return (ray * reach)[:2] if reach > 0 else None
