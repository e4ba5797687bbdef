"""From the light in the scene to the bytes of a camera: exposure, colour, blur, noise, JPEG."""

import cv2
import numpy

from . import textures


class Exposure:
    """One curve per channel. Dark ones crush shadows to black, as cheap cameras do at night."""

    def __init__(self, rng, picture):
        mean = float(cv2.mean(cv2.resize(picture, (16, 16), interpolation=cv2.INTER_AREA))[1]) + 4
        wanted = rng.uniform(60, 150) if rng.random() < 0.75 else rng.uniform(18, 210)
        gain = float(numpy.clip(wanted / mean, 0.25, 3.5))
        gamma, black = rng.uniform(0.7, 1.5), rng.choice((0.0, rng.uniform(0, 40)))
        tint = 1 + rng.normal(0, 0.07, 3)
        value = numpy.arange(256)[:, None] / 255.0
        curve = 255 * numpy.clip(value * gain * tint, 0, 1.4) ** gamma - black
        self.curve = numpy.rint(curve.clip(0, 255)).astype(numpy.uint8)[None]
        self.colour = 0.0 if rng.random() < 0.06 else rng.uniform(0.4, 1.25)

    def __call__(self, picture):
        picture = cv2.LUT(picture, self.curve)
        grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        return cv2.addWeighted(picture, self.colour, grey, 1 - self.colour, 0)


def develop(rng, picture):
    """Lens, sensor, compression: returns the picture and the JPEG it is kept as."""
    height, width = picture.shape[:2]
    kind = rng.random()
    if kind < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.3))
    elif kind < 0.45:  # enlarged from a smaller stream
        share = rng.uniform(0.45, 0.9)
        small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    elif kind < 0.65:  # sharpened by the camera
        soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 1.5))
        picture = cv2.addWeighted(picture, 1 + (s := rng.uniform(0.3, 1.2)), soft, -s, 0)
    bank = textures.grain()
    grain = textures.patch(rng, bank[rng.integers(len(bank))], height, width)
    deviation = rng.choice((1.0, 3.0, 7.0), p=(0.45, 0.4, 0.15)) * rng.uniform(0.3, 1.5)
    picture = cv2.addWeighted(picture, 1.0, grain, deviation / 16, 0, dtype=cv2.CV_8U)
    quality = int(rng.integers(30, 96))
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
