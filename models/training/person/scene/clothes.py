"""Colours (BGR) of people: skin, hair, clothes, uniforms."""

import numpy

SKIN = ((196, 208, 236), (150, 176, 220), (118, 148, 200), (82, 112, 168), (58, 78, 122), (38, 50, 82))
HAIR = ((18, 16, 18), (22, 24, 30), (28, 36, 52), (34, 52, 84), (60, 96, 140), (110, 160, 200), (120, 120, 124),
        (205, 208, 212), (40, 60, 130))
# Most people wear few colours; the rest is drawn anywhere.
CLOTH = ((22, 20, 20), (34, 32, 32), (60, 56, 54), (96, 92, 90), (140, 138, 136), (214, 214, 216), (240, 240, 242),
         (66, 38, 26), (110, 70, 44), (140, 104, 74), (62, 84, 116), (120, 156, 186), (170, 196, 214), (40, 40, 130),
         (44, 62, 44), (60, 96, 70))
UNIFORM = ((40, 220, 235), (30, 110, 245), (50, 200, 60), (40, 40, 200), (190, 90, 30), (235, 235, 240))


def pick(rng, colours):
    return numpy.array(colours[rng.integers(len(colours))], float)


def near(rng, colour, spread=12.0):
    return (colour + rng.normal(0, spread, 3)).clip(6, 250)


def cloth(rng):
    if rng.random() < 0.3:
        value, hue = rng.uniform(30, 240), rng.normal(0, rng.uniform(5, 70), 3)
        return (value + hue).clip(8, 248)
    return near(rng, pick(rng, CLOTH)) * rng.uniform(0.75, 1.15)


class Outfit:
    def __init__(self, rng, uniform=None):
        self.skin = near(rng, pick(rng, SKIN), 8)
        self.hair = near(rng, pick(rng, HAIR), 8)
        self.upper = cloth(rng) if uniform is None else near(rng, uniform, 4)
        self.lower = cloth(rng) * 0.85
        if rng.random() < 0.08:
            self.lower = self.upper * 0.9  # a dress, an overall
        self.shoes = near(rng, pick(rng, CLOTH[:8]), 8)
        self.sleeve = self.upper if rng.random() < 0.7 else self.skin
        self.shin = self.lower if rng.random() < 0.88 else self.skin
        self.bag = cloth(rng)
        self.hat = cloth(rng)
