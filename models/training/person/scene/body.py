"""A person: balls and hulls from shoes to hat, in the pose of a step. Lengths are shares of the stature.

Overhead the labelled parts are head and torso, else the whole body; bags, hats' brims and what is pushed never are.
"""

import numpy

SIDES = (1, -1)


def person(rng, figure, outfit, stature, whole, seated=False, plain=False):
    """Adds a person who faces +x to `figure`. `whole`: arms and legs are labelled too. `plain`: a mannequin's body."""
    h = stature
    build = rng.uniform(0.85, 1.3)
    bulk = rng.uniform(1.0, 1.3)
    phase, stride = rng.uniform(0, 2 * numpy.pi), 0.0 if seated or plain else rng.choice((0.0, 0.05, 0.3, 0.45))
    lean = rng.choice((0.0, 0.05, 0.12, 0.25, 0.7), p=(0.3, 0.35, 0.2, 0.11, 0.04)) if not plain else 0.0
    hip = 0.30 * h if seated else 0.52 * h
    cos, sin = numpy.cos(lean), numpy.sin(lean)

    def at(forward, left, up, radius):
        """Above the hips everything leans; `up` is the height of somebody who stands upright."""
        rise = (up - 0.52) * h
        tilted = (forward * h * cos + rise * sin, hip + rise * cos - forward * h * sin)
        return (tilted[0], left * h, tilted[1], radius * h) if rise > 0 else (forward * h, left * h, hip + rise, radius * h)

    skin, upper, lower = outfit.skin, outfit.upper, outfit.lower
    pair = lambda forward, left, up, radius: [figure.ball(*at(forward, side * left, up, radius)) for side in SIDES]
    hips = pair(0, 0.042 * build, 0.53, 0.064 * build)
    waist = pair(0, 0.038 * build, 0.62, 0.058 * build * bulk)
    chest = pair(0.008, 0.052 * build, 0.72, 0.062 * build * bulk)
    shoulders = pair(0, 0.088 * build, 0.795, 0.040 * bulk)
    neck = figure.ball(*at(0.012, 0, 0.85, 0.034))
    figure.part(hips + waist, lower if rng.random() < 0.5 else upper, True)
    figure.part(waist + chest, upper, True)
    figure.part(chest + shoulders, upper, True)
    figure.part(shoulders + [neck], upper, True)
    legs(rng, figure, outfit, h, hip, build, phase, stride, seated, whole)
    arms(rng, figure, outfit, at, h, build, bulk, phase, stride, whole)
    if not (plain and rng.random() < 0.4):
        head(rng, figure, outfit, at, h, neck, plain)
    if not plain:
        luggage(rng, figure, outfit, at, h)
    if not seated and rng.random() < 0.22:  # a coat or a skirt
        length = rng.uniform(0.30, 0.46)
        hem = [figure.ball(0.02 * h, side * 0.05 * h * build, length * h, 0.055 * h * bulk) for side in SIDES]
        figure.part(hips + hem, upper if rng.random() < 0.6 else lower, whole)


def legs(rng, figure, outfit, h, hip, build, phase, stride, seated, whole):
    for side in SIDES:
        swing = stride * numpy.sin(phase + (side < 0) * numpy.pi)
        fold = 0.1 + 1.3 * stride * max(0.0, numpy.cos(phase + (side < 0) * numpy.pi))
        if seated:
            swing, fold = 1.45, 1.4
        y = side * 0.048 * h * build
        top = (0.0, y, hip - 0.01 * h, 0.055 * h * build)
        knee = (0.235 * h * numpy.sin(swing), y, top[2] - 0.235 * h * numpy.cos(swing), 0.038 * h)
        ankle = (knee[0] + 0.235 * h * numpy.sin(swing - fold), y, knee[2] - 0.235 * h * numpy.cos(swing - fold), 0.027 * h)
        figure.capsule(top, knee, outfit.lower, whole)
        figure.capsule(knee, ankle, outfit.shin, whole)
        heel = (ankle[0] - 0.01 * h, y, max(ankle[2] - 0.015 * h, 0.022 * h), 0.024 * h)
        figure.capsule(heel, (heel[0] + 0.10 * h, y * 1.15, heel[2] - 0.002 * h, 0.021 * h), outfit.shoes, whole)


def arms(rng, figure, outfit, at, h, build, bulk, phase, stride, whole):
    hold = rng.random() < 0.25  # both hands before the body: a phone, a trolley
    for side in SIDES:
        swing = -0.9 * stride * numpy.sin(phase + (side < 0) * numpy.pi) + rng.normal(0, 0.08)
        fold = rng.uniform(1.2, 1.9) if hold or rng.random() < 0.15 else rng.uniform(0.1, 0.6)
        out = 0.105 * build + 0.012 * bulk
        elbow = (0.165 * numpy.sin(swing), side * (out + rng.uniform(0.005, 0.04)), 0.79 - 0.165 * numpy.cos(swing))
        hand = (elbow[0] + 0.15 * numpy.sin(swing + fold), side * (out + (-0.04 if hold else 0.01)),
                elbow[2] - 0.15 * numpy.cos(swing + fold))
        thick = 0.030 * bulk
        figure.capsule(at(0, side * out, 0.785, thick * 1.1), at(*elbow, thick), outfit.upper, whole)
        figure.capsule(at(*elbow, thick), at(*hand, thick * 0.8), outfit.sleeve, whole)
        palm = at(*hand, 0.023)
        figure.part([figure.ball(*palm)], outfit.skin, whole)
        if rng.random() < 0.08:  # a shopping bag hangs from the hand
            x, y, z, _ = palm
            corners = [figure.ball(x + a * 0.09 * h, y, z - b * h, 0.012 * h) for a in SIDES for b in (0.08, 0.24)]
            figure.part(corners, outfit.bag)


def head(rng, figure, outfit, at, h, neck, plain):
    size = (0.072 + 0.020 * h) / h * rng.uniform(0.95, 1.08)
    top = 1.0 - size
    figure.part([neck, figure.ball(*at(0.02, 0, 0.89, 0.032))], outfit.skin, True, True)
    skull = at(0.012, 0, top, size)
    if plain:
        figure.part([figure.ball(*skull)], outfit.skin, True, True)
        return
    wear = rng.random()
    cover = outfit.hat if wear < 0.16 else outfit.skin if wear < 0.21 else outfit.hair
    figure.part([figure.ball(*at(0.026, 0, top - 0.012, size * 0.88))], outfit.skin, True, True)  # the face
    figure.part([figure.ball(*at(0.000, 0, top + 0.006, size))], cover, True, wear >= 0.16)
    figure.part([figure.ball(*at(0.014, 0, top + 0.022, size * 0.86))], cover, True, wear >= 0.16)
    if wear < 0.05:  # a brim all round
        rim = [at(0.01 + 0.085 * numpy.cos(a), 0.085 * numpy.sin(a), top + 0.02, 0.004) for a in numpy.arange(8) * 0.785]
        figure.part([figure.ball(*ball) for ball in rim], outfit.hat)
    elif wear < 0.12:  # a peak
        figure.part([figure.ball(*at(0.07, y, top + 0.012, 0.014)) for y in (0.025, -0.025)], outfit.hat)
    elif wear < 0.16 or wear > 0.95:  # a hood, a scarf
        figure.part([neck, figure.ball(*at(-0.02, 0, top - 0.03, size))], outfit.hat if wear < 0.5 else outfit.upper, True)
    elif wear > 0.66:  # long hair
        tail = at(-0.035, 0, top - rng.uniform(0.08, 0.2), size * 0.6)
        figure.part([figure.ball(*at(-0.012, 0, top, size * 0.95)), figure.ball(*tail)], outfit.hair, True, True)
    elif wear > 0.60:  # a bun
        figure.part([figure.ball(*at(-0.055, 0, top + 0.03, size * 0.45))], outfit.hair, True, True)


def luggage(rng, figure, outfit, at, h):
    kind = rng.random()
    if kind < 0.12:  # on the back
        depth = rng.uniform(0.07, 0.13)
        balls = [figure.ball(*at(-depth, side * 0.05, up, 0.05)) for side in SIDES for up in (0.62, 0.78)]
        figure.part(balls, outfit.bag)
    elif kind < 0.22:  # at the side
        side = SIDES[rng.integers(2)]
        figure.part([figure.ball(*at(f, side * 0.15, up, 0.025)) for f in (-0.06, 0.07) for up in (0.46, 0.56)], outfit.bag)
    elif kind < 0.28:  # carried before the chest: a parcel, a child
        wide = rng.uniform(0.05, 0.13)
        figure.part([figure.ball(*at(0.15, y, up, 0.05)) for y in (-wide, wide) for up in (0.60, 0.70)], outfit.bag)
