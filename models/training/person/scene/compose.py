"""One scene: who and what stands where, painted from back to front, and what can be seen of whom.

    jpeg, boxes = picture(recipe, seed, index)

`boxes` is n x 5: corners in pixels, and 1 for people to be found or 0 for people who are neither right nor wrong,
because too little of them can be seen: cut off, hidden, too small, or dark on dark. The same arguments give the same
bytes, in whatever order, process or number of processes scenes are made.
"""

import cv2
import numpy

from . import photo, room, things
from .body import person
from .camera import Camera
from .clothes import UNIFORM, Outfit, pick
from .figure import Figure, Seen
from .textures import fabrics, patch

# Less of a person than this is ignored.
VISIBLE = 0.4
SMALLEST = 9.0  # pixels, the box's shorter side
CONTRAST = 12.0  # grey levels, mean difference from the empty room
MOST = 24  # people


def picture(recipe, seed, index):
    cv2.setNumThreads(1)
    rng = numpy.random.Generator(numpy.random.PCG64([seed, index]))
    camera = viewpoint(rng, recipe)
    canvas = room.background(rng, camera, recipe.overhead)
    room.marks(rng, canvas, camera)
    cast = people(rng, camera, recipe.overhead)
    cast += furniture(rng, camera, recipe.overhead, things.STANDING, rng.integers(0, 9))
    return shot(rng, camera, canvas, cast)


def shot(rng, camera, canvas, cast):
    """The room `canvas` with everybody and everything of `cast` in it, as the camera gives it."""
    canvas = below(rng, canvas, camera, cast)
    empty = canvas.copy()
    scene = Painting(rng, canvas, camera)
    for actor in sorted(cast, key=lambda actor: -actor.reach(camera)):
        scene.add(actor)
    scene.bars()
    ghosts = mirror(rng, scene)
    pictures = [scene.canvas, empty]
    field = room.light(rng, camera)
    if field is not None:
        field = cv2.merge([field] * 3)
        pictures = [cv2.multiply(each, field, scale=1 / 128) for each in pictures]
    expose = photo.Exposure(rng, pictures[0])
    final, empty = (expose(each) for each in pictures)
    return photo.develop(rng, final), scene.boxes(cv2.absdiff(final, empty), ghosts)


def viewpoint(rng, recipe):
    if recipe.overhead:
        pitch = rng.uniform(78, 90) if rng.random() < 0.65 else rng.uniform(52, 80)
        above, field = rng.choice((rng.uniform(2.1, 2.9), rng.uniform(2.4, 4.5))), rng.uniform(60, 115)
    elif rng.random() < 0.35:  # a mast or a high wall: many people, all of them small
        pitch, above, field = rng.uniform(12, 38), rng.uniform(3.5, 9), rng.uniform(36, 62)
    else:
        pitch = rng.uniform(6, 52)
        above = rng.choice((rng.uniform(1.7, 3.2), rng.uniform(2.4, 4.5), rng.uniform(4, 9)), p=(0.35, 0.4, 0.25))
        field = rng.uniform(38, 100)
    bend = rng.uniform(0.35, 0.95) if rng.random() < 0.35 else 1.0
    roll = rng.normal(0, 2.5)
    return Camera(recipe.width, recipe.height, above, *numpy.radians((pitch, roll, field)), bend)


class Actor:
    """A figure that stands somewhere; `counted` if it is a person of flesh and blood."""

    def __init__(self, figure, x, y, facing, counted=False, speed=0.0):
        self.parts, self.world = figure.parts, figure.placed(x, y, facing)
        self.counted, self.speed, self.facing = counted, speed, facing

    def reach(self, camera):
        """Metres from the camera to its middle."""
        return float(numpy.linalg.norm(self.world[:, :3].mean(0) - camera.place))


def somewhere(rng, camera, overhead, level):
    """A spot on the floor whose people are of a size worth finding."""
    for _ in range(6):
        pixel = rng.uniform(-0.06, 1.06, 2) * (camera.width, camera.height)
        spot = camera.spot(pixel, level)
        if spot is None:
            continue
        size = camera.focal * 1.7 / (numpy.hypot(*spot) + abs(camera.above - level))
        if overhead or 13 < size < 1.3 * camera.height:
            return spot
    return None


def people(rng, camera, overhead):
    level = min(1.2, camera.above - 0.6)
    count = int(rng.choice((0, 1, 2, 3, 5, 8, 14), p=(0.13, 0.16, 0.18, 0.18, 0.17, 0.11, 0.07)))
    if not overhead and camera.above > 3.5:
        count += count // 2
    tallest = min(1.98, camera.above - 0.15)
    together, uniform = rng.random() < 0.3, pick(rng, UNIFORM) if rng.random() < 0.1 else None
    middle, heading, cast, spots = None, rng.uniform(0, 6.28), [], []
    for _ in range(count):
        if middle is not None and together:
            spot = middle + rng.normal(0, 0.25 * numpy.sqrt(count), 2)
        else:
            spot = somewhere(rng, camera, overhead, level)
        if spot is None or any(numpy.hypot(*(spot - other)) < 0.34 for other in spots):
            continue
        middle = spot
        spots.append(spot)
        child = rng.random() < 0.16
        stature = rng.uniform(0.85, 1.4) if child else rng.normal(1.69, 0.09)
        facing = heading + rng.normal(0, 0.4) if rng.random() < 0.4 else rng.uniform(0, 6.28)
        cast += companions(rng, spot, facing, min(float(stature), tallest), not overhead, uniform, child)
    return cast


def companions(rng, spot, facing, stature, whole, uniform, child):
    """Somebody, and what they push or pull or sit in."""
    figure, cast = Figure(), []
    outfit = Outfit(rng, uniform if rng.random() < 0.7 else None)
    kind = 1.0 if child else rng.random()
    if kind < 0.03:
        things.wheelchair(rng, figure)
    person(rng, figure, outfit, stature, whole, seated=kind < 0.05)
    cast.append(Actor(figure, *spot, facing, True, rng.choice((0.0, 1.0, 2.5), p=(0.6, 0.3, 0.1))))
    if 0.05 < kind < 0.17:
        add, ahead = ((things.trolley, 0.95), (things.pram, 0.85), (things.case, -0.5))[rng.integers(3)]
        other = Figure()
        add(rng, other)
        x, y = spot + ahead * numpy.array([numpy.cos(facing), numpy.sin(facing)])
        cast.append(Actor(other, x, y, facing))
    return cast


def furniture(rng, camera, overhead, choice, count):
    """Up to `count` things of `choice`, and now and then a mannequin."""
    cast = []
    for _ in range(count):
        spot = somewhere(rng, camera, overhead, 0.5)
        if spot is None:
            continue
        figure = Figure()
        if rng.random() < 0.07:  # a mannequin: bare, or headless and dressed
            outfit = Outfit(rng)
            outfit.skin = numpy.full(3, rng.choice((25.0, 110.0, 190.0, 235.0)))
            if rng.random() < 0.6:
                outfit.upper = outfit.lower = outfit.sleeve = outfit.shin = outfit.shoes = outfit.skin
            person(rng, figure, outfit, min(rng.uniform(1.6, 1.85), camera.above - 0.2), False, plain=True)
            figure.parts = [part._replace(labelled=False) for part in figure.parts]
            figure.disc(0, 0, 0.02, 0.2, outfit.skin * 0.7)
        else:
            choice[rng.integers(len(choice))](rng, figure)
        turn = rng.uniform(0, 6.28)
        world = numpy.array(figure.balls)
        if world[:, 2].max() > camera.above - 0.25:
            continue
        cast.append(Actor(figure, *spot, turn))
    return cast


def below(rng, canvas, camera, cast):
    """Shadows on the floor and what a polished one mirrors."""
    if rng.random() < 0.7:
        hard = rng.random() < 0.4
        length, turn = (rng.uniform(0.2, 1.6) if hard else rng.uniform(0, 0.3)), rng.uniform(0, 6.28)
        sun = length * numpy.array([numpy.cos(turn), numpy.sin(turn)])
        softness = rng.uniform(0.0, 2.0) if hard else rng.uniform(2.0, 9.0)
        layer = room.shadow(rng, camera, [(a.parts, a.world) for a in cast], sun, softness, rng.uniform(0.2, 0.75))
        canvas = cv2.multiply(canvas, cv2.merge([layer] * 3), scale=1 / 255)
    if rng.random() < 0.12:
        glossy = canvas.copy()
        for actor in cast:
            Seen(actor.parts, actor.world * (1, 1, -1, 1), camera).paint(glossy, (0, 0))
        cv2.GaussianBlur(glossy, (0, 0), rng.uniform(0.8, 3), glossy)
        share = rng.uniform(0.08, 0.35)
        canvas = cv2.addWeighted(glossy, share, canvas, 1 - share, 0)
    return canvas


class Painting:
    def __init__(self, rng, canvas, camera):
        self.rng, self.canvas, self.camera = rng, canvas, camera
        self.owner = numpy.zeros(canvas.shape[:2], numpy.uint8)  # whose labelled parts are seen here; 0 nobody's
        self.people = []  # of each: box over the frame's edge, labelled pixels in the frame
        turn, side = rng.uniform(0, 6.28), rng.uniform(0, 1)
        self.light = (side * numpy.cos(turn), side * numpy.sin(turn))
        self.flat = rng.uniform(0, 0.8)  # 0 for hard light with dark rims, 1 for none

    def add(self, actor):
        rng, seen = self.rng, Seen(actor.parts, actor.world, self.camera)
        window = seen.window(6)
        if window is None:
            return
        before = self.canvas[window].copy() if actor.speed else None
        seen.paint(self.canvas, self.light, self.flat)
        mask = seen.mask()[window]
        bank = fabrics()
        plain = rng.random() < 0.75
        fabric = patch(rng, bank[rng.integers(3 if plain else len(bank))], *mask.shape)
        crop = self.canvas[window]
        covered = cv2.inRange(mask, 1, 2)
        cv2.copyTo(cv2.multiply(crop, cv2.merge([fabric] * 3), scale=1 / 128), covered, crop)
        if before is not None:
            self.smear(actor, seen, before, crop, mask)
        owner = self.owner[window]
        owner[mask > 0] = 0
        box = seen.box() if actor.counted else None
        if box is not None and len(self.people) < MOST:
            self.people.append((box, int(cv2.countNonZero(cv2.inRange(mask, 2, 3)))))
            owner[mask >= 2] = len(self.people)

    def smear(self, actor, seen, before, crop, mask):
        """Motion while the shutter is open: `speed` hundredths of the box's size."""
        step = numpy.array([[0, 0, 0], [numpy.cos(actor.facing), numpy.sin(actor.facing), 0]]) * 0.1
        pixels, _, _, _ = self.camera.project(actor.world[:1, :3] + step)
        along = pixels[1] - pixels[0]
        length = int(min(actor.speed * numpy.hypot(*along) * 0.5, 21)) | 1
        if length < 3:
            return
        kernel = numpy.zeros((length, length), numpy.uint8)
        reach = along / max(abs(along).max(), 1e-6) * (length // 2)
        ends = [tuple(int(v) for v in numpy.rint(length // 2 + sign * reach)) for sign in (-1, 1)]
        cv2.line(kernel, *ends, 1)
        kernel = kernel.astype(numpy.float32) / kernel.sum()
        share = cv2.filter2D((mask > 0).astype(numpy.float32), -1, kernel)[..., None]
        crop[:] = (before + share * (cv2.filter2D(crop, -1, kernel).astype(numpy.float32) - before)).astype(numpy.uint8)

    def bars(self):
        """What hangs or stands right before the lens: rails, lintels, cables, leaves."""
        rng, size = self.rng, (self.camera.width, self.camera.height)
        for _ in range(rng.integers(1, 4) if rng.random() < 0.16 else 0):
            ends = rng.uniform(-0.1, 1.1, (2, 2)) * size
            if rng.random() < 0.6:
                ends[1, axis] = ends[0, axis := rng.integers(2)]
                ends[0, 1 - axis], ends[1, 1 - axis] = -20, 600
            ends = [tuple(int(v) for v in end) for end in ends]
            thick, colour = int(rng.integers(1, 28)), tuple(rng.uniform(5, 245, 3))
            cv2.line(self.canvas, *ends, colour, thick, cv2.LINE_AA)
            cv2.line(self.owner, *ends, 0, thick)

    def boxes(self, difference, ghosts):
        blue, green, red = cv2.split(difference)
        contrast = cv2.max(cv2.max(blue, green), red)
        found = []
        for number, (box, pixels) in enumerate(self.people, 1):
            clipped = box.clip(0, (self.camera.width, self.camera.height) * 2)
            size = clipped[2:] - clipped[:2]
            if size.min() < 2 or pixels == 0:
                continue
            mine = self.owner == number
            visible = mine.sum() / pixels * size.prod() / (box[2:] - box[:2]).prod()
            clear = mine.any() and contrast[mine].mean() >= CONTRAST
            found.append([*clipped, float(visible >= VISIBLE and clear and size.min() >= SMALLEST)])
        found += [[*ghost, 0.0] for ghost in ghosts]
        return numpy.array(found, numpy.float32).reshape(-1, 5)


def mirror(rng, scene):
    """A mirror or a pane on one side shows the scene beside it; strong images of people are ignored, weak ones not."""
    if rng.random() > 0.07:
        return []
    width, share = scene.camera.width, rng.uniform(0.12, 1.0)
    span = int(rng.uniform(0.12, 0.4) * width)
    low, high = sorted(int(v) for v in rng.integers(0, scene.camera.height, 2))
    if high - low < 20:
        return []
    left = rng.random() < 0.5
    here = slice(0, span) if left else slice(width - span, width)
    there = slice(span, 2 * span) if left else slice(width - 2 * span, width - span)
    image = scene.canvas[low:high, there][:, ::-1]
    scene.canvas[low:high, here] = cv2.addWeighted(image, share, scene.canvas[low:high, here], 1 - share, 0)
    if share > 0.6:
        scene.owner[low:high, here] = 0
    edge = 2 * (span if left else width - span)
    ghosts = [(edge - x1, y0, edge - x0, y1) for (x0, y0, x1, y1), _ in scene.people]
    ghosts = [numpy.clip(g, (here.start, low) * 2, (here.stop, high) * 2) for g in ghosts] if share > 0.3 else []
    return [g for g in ghosts if g[2] - g[0] > 3 and g[3] - g[1] > 3]
