"""The two detectors that are trained here, and everything that differs between them."""

import argparse
import dataclasses
import pathlib


PAD = 114  # what the daemon fills the rest of a letterboxed frame with
PURE = 0.7  # of the training is on the recipe's own scenes alone
SEEDS = ("scenes", "held", "street", "shop")


@dataclasses.dataclass(frozen=True)
class Late:
    """Scenes of another kind that are mixed in when the rest is learnt: what a detector meets there must not undo it."""

    name: str
    scenes: int
    share: float  # of the frames from then on


@dataclasses.dataclass(frozen=True)
class Recipe:
    name: str
    overhead: bool  # view from the ceiling; the box is head and torso, else the whole body
    width: int  # of the network's input
    height: int
    seed: int  # of the training scenes; those after it are for the others of SEEDS
    scenes: int
    held: int  # scenes never trained on: calibration of the threshold and of int8
    passes: int  # how many times as many frames as scenes are trained on, every one changed a little
    late: tuple  # of Late
    batch: int = 24

    @property
    def view(self):
        return "overhead" if self.overhead else "oblique"

    @property
    def steps(self):
        return self.passes * (self.scenes // self.batch)

    @property
    def pure(self):
        """The step from which on `late` scenes are mixed in."""
        return int(self.steps * PURE) if self.late else self.steps

    @property
    def sets(self):
        """Of each kind of scene: name, how many, and the seed that they follow from."""
        kinds = [("scenes", self.scenes), ("held", self.held), *((late.name, late.scenes) for late in self.late)]
        return {name: (count, self.seed + SEEDS.index(name)) for name, count in kinds}

    @property
    def inside(self):
        """Share of a box that may lie inside a stronger one: from above that is a head with its own shoulders."""
        return 0.8 if self.overhead else 1.0


RECIPES = {
    "overhead": Recipe("person-overhead", True, 320, 256, 4100, 70_000, 1_000, 5, (Late("shop", 4_000, 0.25),)),
    "oblique": Recipe(
        "person-oblique", False, 480, 352, 4200, 60_000, 1_000, 4, (Late("street", 8_000, 0.35), Late("shop", 10_000, 0.25))
    ),
}


SIZES = ("full", "pilot", "tiny")


def recipe(view, size="full"):
    """`pilot`: a tenth, to see whether a change is worth the whole; `tiny`: a minute, for tests, good for nothing else."""
    full = RECIPES[view]
    if size == "pilot":
        late = tuple(dataclasses.replace(each, scenes=each.scenes // 4) for each in full.late)
        return dataclasses.replace(full, scenes=8_000, held=500, late=late)
    if size == "tiny":
        name = f"{full.name}-tiny"
        late = (Late("street", 60, 0.5),)  # the shop needs the Rust program
        return dataclasses.replace(full, name=name, width=160, height=128, scenes=240, held=60, passes=4, batch=12, late=late)
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
