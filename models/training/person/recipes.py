"""The two detectors that are trained here, and everything that differs between them."""

import argparse
import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Recipe:
    name: str
    overhead: bool  # view from the ceiling; the box is head and torso, else the whole body
    width: int  # of the network's input
    height: int
    seed: int  # of the training scenes; the seed after it is held out
    scenes: int
    held: int  # scenes never trained on: calibration of the threshold and of int8
    passes: int  # how often each scene is seen in training, every time changed a little
    batch: int = 24

    @property
    def view(self):
        return "overhead" if self.overhead else "oblique"

    @property
    def inside(self):
        """Share of a box that may lie inside a stronger one: from above that is a head with its own shoulders."""
        return 0.8 if self.overhead else 1.0


RECIPES = {
    "overhead": Recipe("person-overhead", True, 320, 256, 4100, 70_000, 1_000, 5),
    "oblique": Recipe("person-oblique", False, 480, 352, 4200, 60_000, 1_000, 4),
}


SIZES = ("full", "pilot", "tiny")


def recipe(view, size="full"):
    """`pilot`: a tenth, to see whether a change is worth the whole; `tiny`: a minute, for tests, good for nothing else."""
    full = RECIPES[view]
    if size == "pilot":
        return dataclasses.replace(full, scenes=8_000, held=500)
    if size == "tiny":
        return dataclasses.replace(
            full, name=f"{full.name}-tiny", width=160, height=128, scenes=240, held=60, passes=4, batch=12
        )
    return full


def arguments_of(doc, *more):
    """What every step is told: the view, the folder, the size; and `more`, as names and options of argparse."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("view", choices=tuple(RECIPES))
    parser.add_argument("out", type=pathlib.Path)
    for name, options in more:
        parser.add_argument(name, **options)
    parser.add_argument("--size", choices=SIZES, default="full")
    return parser.parse_args()
