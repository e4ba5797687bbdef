"""Frames of the demo's synthetic shop, as the daemon feeds them: drawn by ../../../examples/demo_frames.rs, half of them by
day, half in the evening. The shops that the demo and its tests show have other seeds.
"""

import csv
import os
import pathlib
import subprocess
import tempfile

import cv2
import numpy

from recipes import PAD
from scene.compose import SMALLEST, VISIBLE

HOME = pathlib.Path(__file__).resolve().parents[3]
SOURCES = [HOME / f"src/demo/{name}.rs" for name in ("backdrop", "figure", "path", "render", "scene", "script")]
LIGHTS = ("day", "evening")
FRAMES = 5  # of one shop


def pictures(recipe, seed, first, size):
    """(JPEG, boxes) of `size` frames from number `first` on, which must come in whole shops of both lights."""
    found = []
    for light in LIGHTS:
        shops = size // FRAMES // len(LIGHTS)
        with tempfile.TemporaryDirectory() as folder:
            start = seed + first // FRAMES // len(LIGHTS)
            program = [os.environ.get("CARGO", "cargo"), "run", "--quiet", "--example", "demo_frames", "--", folder]
            arguments = [str(start), str(shops), str(FRAMES), recipe.view, light]
            subprocess.run(program + arguments, cwd=HOME, check=True)
            found += read(recipe, pathlib.Path(folder))
    return found


def read(recipe, folder):
    """What demo_frames wrote, at the size of the recipe's input."""
    labels = {}
    for name, *numbers in csv.reader((folder / "labels.csv").read_text().splitlines()):
        labels.setdefault(name, []).append([float(number) for number in numbers])
    return [
        fitted(recipe, cv2.imread(str(folder / name)), numpy.array(labels.get(name, [])).reshape(-1, 5))
        for name in (folder / "frames.csv").read_text().split()
    ]


def fitted(recipe, picture, people):
    """`people`: corners in pixels, and the share of them that can be seen."""
    height, width = picture.shape[:2]
    across, down = recipe.width / width, recipe.height / height
    if not recipe.overhead:
        across = down = min(across, down)
    small = cv2.resize(picture, (round(width * across), round(height * down)), interpolation=cv2.INTER_LINEAR)
    canvas = numpy.full((recipe.height, recipe.width, 3), PAD, numpy.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    boxes = (people * (across, down, across, down, 1)).astype(numpy.float32)
    size = (boxes[:, 2:4] - boxes[:, :2]).min(1, initial=numpy.inf)
    boxes[:, 4] = (boxes[:, 4] >= VISIBLE) & (size >= SMALLEST)
    return cv2.imencode(".jpg", canvas, (cv2.IMWRITE_JPEG_QUALITY, 92))[1].ravel(), boxes[size >= 2]
