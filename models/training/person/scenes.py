"""Renders a recipe's scenes into shards on disk, once; what is there is left alone.

    python3 scenes.py overhead|oblique OUT [--size full|pilot|tiny] [--workers 1] [--only KIND]

A shard holds the JPEGs and boxes of up to SHARD scenes of one kind. It does not depend on who renders it, or beside what.
"""

import hashlib
import multiprocessing
import os
import pathlib
import sys

import cv2
import numpy

import shop
from progress import Progress
from recipes import SEEDS, arguments_of, recipe
from scene import compose, street

SHARD = 500


def path(out, kind, number):
    return pathlib.Path(out) / f"{kind}-{number:04}.npz"


def wanted(total):
    """First index and size of every shard."""
    return [(first, min(SHARD, total - first)) for first in range(0, total, SHARD)]


def render(job):
    target, kind, recipe_, seed, first, size = job
    if kind == "shop":
        found = shop.pictures(recipe_, seed, first, size)
    else:
        picture = street.picture if kind == "street" else compose.picture
        found = [picture(recipe_, seed, index) for index in range(first, first + size)]
    jpegs, boxes = zip(*found)
    partial = target.with_suffix(".partial.npz")
    numpy.savez(
        partial,
        bytes=numpy.concatenate(jpegs),
        lengths=numpy.array([len(jpeg) for jpeg in jpegs], numpy.int64),
        boxes=numpy.concatenate(boxes),
        counts=numpy.array([len(each) for each in boxes], numpy.int64),
    )
    os.replace(partial, target)
    return size


def fingerprint(recipe_):
    """Of everything that decides what scenes look like: the generators' sources, the recipe, OpenCV's version."""
    digest = hashlib.sha256(f"{recipe_.width} {recipe_.height} {recipe_.seed} {cv2.__version__}".encode())
    here = pathlib.Path(__file__).parent
    for source in [*sorted((here / "scene").glob("*.py")), *(shop.SOURCES if "shop" in recipe_.sets else [])]:
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
    """All shards of one kind in memory, still as JPEG."""

    def __init__(self, out, recipe_, kind):
        self.jpegs, self.boxes = [], []
        for number, _ in enumerate(wanted(recipe_.sets[kind][0])):
            with numpy.load(path(out, kind, number)) as shard:
                ends = numpy.cumsum(shard["lengths"])
                self.jpegs += numpy.split(shard["bytes"], ends[:-1])
                self.boxes += numpy.split(shard["boxes"], numpy.cumsum(shard["counts"])[:-1])

    def __len__(self):
        return len(self.jpegs)


def main():
    arguments = arguments_of(
        __doc__,
        ("--workers", dict(type=int, default=1)),
        ("--only", dict(metavar="KIND", choices=SEEDS, help="of all kinds only this: held is enough to evaluate")),
    )
    chosen = recipe(arguments.view, arguments.size)
    arguments.out.mkdir(parents=True, exist_ok=True)
    same_generator(arguments.out, chosen)
    jobs, done, total = [], 0, 0
    for kind, (count, seed) in chosen.sets.items():
        for number, (first, size) in enumerate(wanted(count)) if arguments.only in (None, kind) else ():
            target = path(arguments.out, kind, number)
            total += size
            if target.exists():
                done += size
            else:
                jobs.append((target, kind, chosen, seed, first, size))
    say = Progress(f"{chosen.name}: scenes", total, done)
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        for size in pool.imap_unordered(render, jobs):
            done += size
            say(done)


if __name__ == "__main__":
    main()
