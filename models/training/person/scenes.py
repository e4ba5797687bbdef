"""Renders a recipe's scenes into shards on disk, once; what is there is left alone.

    python3 scenes.py overhead|oblique OUT [--size full|pilot|tiny] [--workers 1]

A shard holds the JPEGs and boxes of up to SHARD scenes. It does not depend on who renders it, or beside what.
"""

import hashlib
import multiprocessing
import os
import pathlib
import sys

import cv2
import numpy

from progress import Progress
from recipes import arguments_of, recipe
from scene.compose import picture

SHARD = 500


def path(out, held, number):
    return pathlib.Path(out) / f"{'held' if held else 'scenes'}-{number:04}.npz"


def wanted(recipe_, held):
    """First index and size of every shard."""
    total = recipe_.held if held else recipe_.scenes
    return [(first, min(SHARD, total - first)) for first in range(0, total, SHARD)]


def render(job):
    target, recipe_, seed, first, size = job
    jpegs, counts, boxes = [], [], []
    for index in range(first, first + size):
        jpeg, found = picture(recipe_, seed, index)
        jpegs.append(jpeg)
        counts.append(len(found))
        boxes.append(found)
    partial = target.with_suffix(".partial.npz")
    numpy.savez(
        partial,
        bytes=numpy.concatenate(jpegs),
        lengths=numpy.array([len(jpeg) for jpeg in jpegs], numpy.int64),
        boxes=numpy.concatenate(boxes),
        counts=numpy.array(counts, numpy.int64),
    )
    os.replace(partial, target)
    return size


def fingerprint(recipe_):
    """Of everything that decides what scenes look like: the generator's source, the recipe, OpenCV's version."""
    digest = hashlib.sha256(f"{recipe_.width} {recipe_.height} {recipe_.seed} {cv2.__version__}".encode())
    for source in sorted((pathlib.Path(__file__).parent / "scene").glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def same_generator(out, recipe_):
    """Scenes of two generators must not be mixed: weights from them could never be made again."""
    stamp, now = out / "generator", fingerprint(recipe_)
    if not stamp.exists():
        stamp.write_text(now)
    elif stamp.read_text() != now:
        sys.exit(f"{recipe_.name}: the scenes in {out} are another generator's ({stamp.read_text()}, now {now}); remove that folder")


class Scenes:
    """All shards of a recipe in memory, still as JPEG."""

    def __init__(self, out, recipe_, held):
        self.jpegs, self.boxes = [], []
        for number, _ in enumerate(wanted(recipe_, held)):
            with numpy.load(path(out, held, number)) as shard:
                ends = numpy.cumsum(shard["lengths"])
                self.jpegs += numpy.split(shard["bytes"], ends[:-1])
                self.boxes += numpy.split(shard["boxes"], numpy.cumsum(shard["counts"])[:-1])

    def __len__(self):
        return len(self.jpegs)


def main():
    arguments = arguments_of(__doc__, ("--workers", dict(type=int, default=1)))
    chosen = recipe(arguments.view, arguments.size)
    arguments.out.mkdir(parents=True, exist_ok=True)
    same_generator(arguments.out, chosen)
    jobs, done = [], 0
    for held in (True, False):
        for number, (first, size) in enumerate(wanted(chosen, held)):
            target = path(arguments.out, held, number)
            if target.exists():
                done += size
            else:
                jobs.append((target, chosen, chosen.seed + held, first, size))
    say = Progress(f"{chosen.name}: scenes", chosen.scenes + chosen.held, done)
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for size in pool.imap_unordered(render, jobs):
            done += size
            say(done)


if __name__ == "__main__":
    main()
