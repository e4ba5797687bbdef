"""Training batches: every scene several times, each time mirrored, moved, scaled and coloured a little differently.

What a batch holds depends on the recipe's seed and the batch's number only, so that training can go on where it stopped.
"""

import cv2
import numpy
import torch

from recipes import PAD

PEOPLE = 24
INSIDE = 0.45  # people of whom less is left after moving are ignored
SMALLEST = 6.0


def batch(recipe, sets, number):
    """Frames batch x 3 x height x width, 0..255, and people batch x PEOPLE x 5 (see scene/compose.py; -1 for nobody).

    `sets`: of every kind of scene, by its name, all there are.
    """
    rng = numpy.random.default_rng([recipe.seed, 2, number])
    frames = numpy.empty((recipe.batch, recipe.height, recipe.width, 3), numpy.float32)
    people = numpy.full((recipe.batch, PEOPLE, 5), -1.0, numpy.float32)
    for k, (scenes, index) in enumerate(chosen(recipe, sets, number)):
        image = cv2.imdecode(scenes.jpegs[index], cv2.IMREAD_COLOR)
        image, boxes = move(rng, recipe, image, scenes.boxes[index].copy())
        frames[k] = colour(rng, image)
        boxes = boxes[:PEOPLE]
        people[k, : len(boxes)] = boxes
    return torch.from_numpy(frames).permute(0, 3, 1, 2), torch.from_numpy(people)


def chosen(recipe, sets, number):
    """The batch's scenes: first all of the recipe's own in some order, again and again; later any of all kinds."""
    own = sets["scenes"]
    if number < recipe.pure:
        a_pass, first = divmod(number * recipe.batch, len(own) // recipe.batch * recipe.batch)
        order = numpy.random.default_rng([recipe.seed, 1, a_pass]).permutation(len(own))
        return [(own, index) for index in order[first : first + recipe.batch]]
    rng = numpy.random.default_rng([recipe.seed, 3, number])
    kinds = [own, *(sets[late.name] for late in recipe.late)]
    shares = [late.share for late in recipe.late]
    picks = [kinds[kind] for kind in rng.choice(len(kinds), recipe.batch, p=[1 - sum(shares), *shares])]
    return [(scenes, rng.integers(len(scenes))) for scenes in picks]


def move(rng, recipe, image, boxes):
    height, width = image.shape[:2]
    scale = numpy.exp(rng.uniform(-0.45, 0.35)) if rng.random() < 0.8 else 1.0
    stretch = numpy.exp(rng.uniform(-0.12, 0.12))
    sx, sy = scale * stretch, scale / stretch
    # Anywhere the picture fits into the frame, or the frame into the picture.
    dx, dy = rng.uniform(0, 1) * (width - sx * width), rng.uniform(0, 1) * (height - sy * height)
    if rng.random() < 0.5:
        sx, dx = -sx, width - dx
    if recipe.overhead and rng.random() < 0.5:
        sy, dy = -sy, height - dy
    shift = numpy.array([[sx, 0, dx + (sx - 1) / 2], [0, sy, dy + (sy - 1) / 2]])
    image = cv2.warpAffine(image, shift, (width, height), flags=cv2.INTER_LINEAR, borderValue=(PAD,) * 3)
    x, y = boxes[:, [0, 2]] * sx + dx, boxes[:, [1, 3]] * sy + dy
    whole = numpy.stack([x.min(1), y.min(1), x.max(1), y.max(1)], 1)
    boxes[:, :4] = whole.clip(0, (width, height) * 2)
    size, before = boxes[:, 2:4] - boxes[:, :2], whole[:, 2:] - whole[:, :2]
    boxes[:, 4] *= (size.prod(1) >= INSIDE * before.prod(1)) & (size.min(1) >= SMALLEST)
    return image, boxes[size.min(1) > 1]


def colour(rng, image):
    gain, offset = 1 + rng.uniform(-0.25, 0.25), rng.uniform(-25, 25)
    tint = 1 + rng.uniform(-0.08, 0.08, 3)
    value = numpy.arange(256)[:, None]
    curve = ((value - 128) * gain * tint + 128 + offset).clip(0, 255).astype(numpy.uint8)
    return cv2.LUT(image, curve[None])
