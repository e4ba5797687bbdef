"""Training, export, int8, evaluation and the model card at toy size. Needs torch, onnx and ONNX Runtime.

    python3 test_training.py
"""

import json
import shutil
import unittest

from support import Folder, program

import cv2
import numpy
import onnx
import torch

from card import refusal
from detect import session
from network import Detector
from recipes import recipe
from scenes import Scenes
from yolox import Exported

SIZE = ("--size", "tiny")


class Pipeline(Folder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.chosen = recipe("overhead", "tiny")
        cls.out = cls.folder / "overhead"
        program("scenes.py", "overhead", cls.out, *SIZE)
        shutil.copytree(cls.out, cls.folder / "again")
        program("train.py", "overhead", cls.out, *SIZE)
        program("quantise.py", "overhead", cls.out, *SIZE)

    def frames(self, count=20):
        for jpeg in Scenes(self.out, self.chosen, "held").jpegs[:count]:
            yield cv2.imdecode(jpeg, cv2.IMREAD_COLOR).transpose(2, 0, 1)[None].astype(numpy.float32)

    def test_the_loss_falls(self):
        losses = [float(line.split(",")[1]) for line in (self.out / "log.csv").read_text().split()]
        first, last = numpy.mean(losses[:5]), numpy.mean(losses[-5:])
        self.assertLess(last, 0.9 * first)

    def test_training_that_was_stopped_goes_on_to_the_same_weights(self):
        again = self.folder / "again"
        program("train.py", "overhead", again, *SIZE, "--until", 33)
        self.assertFalse((again / "model.onnx").exists())
        program("train.py", "overhead", again, *SIZE)
        whole, parts = (torch.load(folder / "checkpoint.pt")[1] for folder in (self.out, again))
        for name in whole:
            self.assertTrue(torch.equal(whole[name], parts[name]), name)

    def test_the_exported_network_says_what_the_trained_one_says(self):
        net = Detector()
        net.load_state_dict(torch.load(self.out / "checkpoint.pt")[1])
        exported, session_ = Exported(net).eval(), session(self.out / "model.onnx")
        for frame in self.frames(5):
            with torch.no_grad():
                wanted = exported(torch.from_numpy(frame)).numpy()
            numpy.testing.assert_allclose(session_.run(None, {"images": frame})[0], wanted, atol=2e-3)

    def test_int8_agrees_with_float(self):
        both = [session(self.out / name) for name in ("model.onnx", "model-int8.onnx")]
        apart, spread = [], []
        for frame in self.frames():
            exact, coarse = (each.run(None, {"images": frame})[0][0] for each in both)
            apart.append(numpy.abs(exact - coarse)[:, :5].mean(0))
            spread.append(numpy.abs(exact - exact.mean(0))[:, :5].mean(0))
        self.assertTrue((numpy.mean(apart, 0) < 0.25 * numpy.mean(spread, 0) + 0.01).all(), (apart, spread))

    def test_the_files_are_what_the_daemon_expects(self):
        for name in ("model.onnx", "model-int8.onnx"):
            model = onnx.load(self.out / name)
            self.assertLess((self.out / name).stat().st_size, 2_500_000)
            self.assertEqual({entry.domain: entry.version for entry in model.opset_import}, {"": 16}, name)
            shape = [entry.dim_value for entry in model.graph.output[0].type.tensor_type.shape.dim]
            self.assertEqual(shape, [1, (16 * 20) + (8 * 10) + (4 * 5), 6], name)

    def test_evaluation_and_card_run_without_recordings(self):
        program("evaluate.py", "overhead", self.out, *SIZE)
        results = json.loads((self.out / "results.json").read_text())
        self.assertEqual(set(results["scenes"]), {"float", "int8"})
        models = self.folder / "models"
        program("card.py", "overhead", self.out, models, *SIZE)
        names = {path.name for path in models.iterdir()}
        stem = "person-overhead-tiny"
        self.assertEqual(names, {f"{stem}{end}" for end in (".onnx", "-int8.onnx", ".toml", "-int8.toml", ".md", "-training.csv")})
        self.assertIn("| held-out scenes | int8 |", (models / f"{stem}.md").read_text())


class Card(unittest.TestCase):
    def results(self, own, **others):
        return {"clips": {"koba_bus": {"float": {"ap": own}, **{name: {"ap": ap} for name, ap in others.items()}}}}

    def test_weights_worse_than_the_shipped_ones_or_the_baseline_are_refused(self):
        self.assertIsNone(refusal(self.results(0.90, shipped=0.89, baseline_overhead_320x256=0.90), True))
        self.assertIn("shipped 0.920", refusal(self.results(0.90, shipped=0.92), True))
        self.assertIn("baseline", refusal(self.results(0.90, baseline_overhead_320x256=0.95), False))
        self.assertIsNone(refusal(self.results(0.90, yolox_nano_416=0.99), True))

    def test_nothing_is_put_over_other_weights_unmeasured(self):
        self.assertIn("FOOTFALL_DATA", refusal({"clips": {}}, True))
        self.assertIsNone(refusal({"clips": {}}, False))


if __name__ == "__main__":
    unittest.main()
