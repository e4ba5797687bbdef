"""The scene generator and the scoring. Needs numpy and OpenCV only.

    python3 test_scenes.py
"""

import unittest

from support import Folder, program

import cv2
import numpy

import shop
from recipes import PAD, RECIPES, recipe
from scene import street
from scene.body import person
from scene.camera import Camera
from scene.clothes import Outfit
from scene.compose import Actor, Painting, picture
from scene.figure import Figure
from score import Score


# What draws a scene, and for which detector.
KINDS = ((RECIPES["overhead"], picture), (RECIPES["oblique"], picture), (RECIPES["oblique"], street.picture))


class Scenes(unittest.TestCase):
    def test_the_same_seed_and_index_give_the_same_bytes_in_any_order(self):
        for chosen, picture in KINDS:
            forward = {index: picture(chosen, 9, index) for index in (0, 1, 2, 3)}
            for index in (3, 1, 0, 2):
                again = picture(chosen, 9, index)
                self.assertEqual(forward[index][0].tobytes(), again[0].tobytes(), f"seed 9, index {index}")
                self.assertEqual(forward[index][1].tobytes(), again[1].tobytes(), f"seed 9, index {index}")

    def test_another_seed_or_index_gives_another_scene(self):
        chosen = recipe("overhead")
        first = picture(chosen, 9, 0)[0].tobytes()
        self.assertNotEqual(first, picture(chosen, 9, 1)[0].tobytes())
        self.assertNotEqual(first, picture(chosen, 10, 0)[0].tobytes())

    def test_boxes_lie_in_the_frame_and_some_scenes_are_empty(self):
        for chosen, picture in KINDS:
            people = []
            for index in range(60):
                jpeg, boxes = picture(chosen, 9, index)
                image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
                self.assertEqual(image.shape, (chosen.height, chosen.width, 3))
                self.assertTrue((boxes[:, :2] >= 0).all() and (boxes[:, 2:4] > boxes[:, :2]).all(), f"index {index}")
                self.assertTrue((boxes[:, 2] <= chosen.width).all() and (boxes[:, 3] <= chosen.height).all())
                self.assertTrue(set(boxes[:, 4]) <= {0.0, 1.0})
                people.append(int((boxes[:, 4] == 1).sum()))
            self.assertGreater(sum(people), 60)
            self.assertTrue(5 <= people.count(0) <= 40, f"{people.count(0)} of 60 scenes without anybody")


class Visibility(unittest.TestCase):
    """Somebody 4 m before a camera at 2.5 m, before a grey background."""

    def boxes(self, *others, colour=200.0):
        camera = Camera(320, 256, 2.5, *numpy.radians((22, 0, 70)), 1.0)
        scene = Painting(numpy.random.default_rng(1), numpy.full((256, 320, 3), 100, numpy.uint8), camera)
        scene.flat = 1.0
        empty, figure = scene.canvas.copy(), Figure()
        outfit = Outfit(numpy.random.default_rng(2))
        for part in ("skin", "hair", "upper", "lower", "shoes", "sleeve", "shin", "bag", "hat"):
            setattr(outfit, part, numpy.full(3, colour))
        person(numpy.random.default_rng(3), figure, outfit, 1.7, True)
        scene.add(Actor(figure, 4.0, 0.0, 0.0, True))
        for other in others:
            scene.add(other)
        return scene.boxes(cv2.absdiff(scene.canvas, empty), [])

    def block(self, across, high):
        figure = Figure()
        figure.block((0, 0, high / 2), (0.3, across, high), numpy.full(3, 60.0))
        return Actor(figure, 3.0, 0.0, 0.0)

    def test_somebody_in_the_open_is_to_be_found_at_a_sensible_size(self):
        ((x0, y0, x1, y1, found),) = self.boxes()
        self.assertEqual(found, 1.0)
        self.assertTrue(1.8 < (y1 - y0) / (x1 - x0) < 4.5, (x0, y0, x1, y1))
        self.assertTrue(x0 < 160 < x1)

    def test_somebody_behind_a_tall_shelf_is_ignored_and_behind_a_crate_is_not(self):
        self.assertEqual(self.boxes(self.block(2.0, 1.9))[0, 4], 0.0)
        self.assertEqual(self.boxes(self.block(2.0, 0.3))[0, 4], 1.0)

    def test_somebody_of_the_colour_of_the_room_is_ignored(self):
        self.assertEqual(self.boxes(colour=108.0)[0, 4], 0.0)


class Shop(Folder):
    """Two frames as examples/demo_frames.rs leaves them: two people, the second hardly to be seen; nobody."""

    def read(self, view):
        for name in ("a.jpg", "b.jpg"):
            cv2.imwrite(str(self.folder / name), numpy.full((480, 640, 3), 200, numpy.uint8))
        (self.folder / "frames.csv").write_text("a.jpg\nb.jpg\n")
        (self.folder / "labels.csv").write_text("a.jpg,64.0,48.0,192.0,240.0,0.9\na.jpg,320.0,96.0,384.0,192.0,0.2\n")
        return [(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), boxes) for jpeg, boxes in shop.read(recipe(view), self.folder)]

    def test_frames_and_boxes_come_as_the_daemon_feeds_them(self):
        (first, people), (_, nobody) = self.read("overhead")
        self.assertEqual((first.shape, len(nobody)), ((256, 320, 3), 0))
        numpy.testing.assert_allclose(people, [[32, 25.6, 96, 128, 1], [160, 51.2, 192, 102.4, 0]], atol=1e-3)
        (first, people), _ = self.read("oblique")
        self.assertEqual(first.shape, (352, 480, 3))
        # 640 x 480 in 480 x 352: 469 columns, the rest is padding.
        numpy.testing.assert_allclose(people[0], [46.9, 35.2, 140.8, 176, 1], atol=0.1)
        self.assertTrue((abs(first[:, 472:].astype(int) - PAD) < 8).all() and (first[:, :464] > 190).all())


class Shards(Folder):
    def test_shards_do_not_depend_on_the_number_of_workers_nor_on_interruption(self):
        for workers in (1, 2):
            program("scenes.py", "oblique", self.folder / str(workers), "--size", "tiny", "--workers", workers)
        names = sorted(path.name for path in (self.folder / "1").iterdir())
        self.assertEqual(names, ["generator", "held-0000.npz", "scenes-0000.npz", "street-0000.npz"])
        kept = {name: (self.folder / "1" / name).read_bytes() for name in names}
        self.assertEqual(kept, {name: (self.folder / "2" / name).read_bytes() for name in names})
        (self.folder / "1" / "held-0000.npz").unlink()
        program("scenes.py", "oblique", self.folder / "1", "--size", "tiny")
        self.assertEqual(kept, {name: (self.folder / "1" / name).read_bytes() for name in names})

    def test_scenes_of_another_generator_are_not_mixed_in(self):
        out = self.folder / "other"
        out.mkdir()
        (out / "generator").write_text("0123456789abcdef")
        with self.assertRaisesRegex(AssertionError, "another generator's"):
            program("scenes.py", "oblique", out, "--size", "tiny")


class Scores(unittest.TestCase):
    TRUTH = [(0, 0, 10, 10), (50, 50, 60, 60)]

    def test_average_precision_of_a_case_reckoned_by_hand(self):
        score = Score(0.5)
        score.add(numpy.array([[0, 0, 10, 10, 0.9], [80, 80, 90, 90, 0.8], [50, 50, 60, 60, 0.7]], float), self.TRUTH)
        # Half the people at precision 1, the other half at 2/3.
        self.assertAlmostEqual(score.average_precision(), 0.5 + 0.5 * 2 / 3)
        self.assertEqual(score.at(0.75), (0.5, 0.5))

    def test_a_second_box_on_somebody_is_wrong_and_one_in_an_ignored_region_is_nothing(self):
        boxes = numpy.array([[0, 0, 10, 10, 0.9], [0, 0, 10, 9, 0.8], [80, 80, 90, 90, 0.7]], float)
        score = Score(0.5)
        score.add(boxes, self.TRUTH, [(75, 75, 100, 100)])
        self.assertEqual([hit for _, hit in score.marks], [True, False])

    def test_frames_of_nobody_count_for_false_alarms_only(self):
        score = Score(0.5)
        score.add(numpy.array([[0, 0, 10, 10, 0.6]], float), None)
        score.add(numpy.zeros((0, 5)), None)
        self.assertEqual((score.false_alarms(0.5), score.false_alarms(0.7), score.frames, score.marks), (0.5, 0.0, 0, []))


if __name__ == "__main__":
    unittest.main()
