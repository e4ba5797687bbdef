"""Measures the trained weights and others beside them: held-out scenes, labelled recordings, time.

    python3 evaluate.py overhead|oblique OUT [--size full|pilot|tiny] [--shipped MODELS]
    python3 evaluate.py overhead|oblique OUT --of MODELS

Prints a table and writes OUT/results.json, of which card.py makes the model card. The default threshold is chosen on the
held-out scenes; recordings (FOOTFALL_DATA) are only ever looked at. `--of`: the table alone, of weights that have been put in
place, with the threshold of their manifest.
"""

import json
import pathlib
import time

import cv2
import numpy

import clips
from detect import Detector
from progress import Progress
from recipes import arguments_of, recipe
from scenes import Scenes
from score import Score

# File, view ("" for any), fed by letterbox, decoder, its usual threshold.
OTHERS = (
    ("baseline_overhead_320x256", "", False, "yolox", 0.45),
    ("baseline_oblique_480x352", "", True, "yolox", 0.45),
    ("baseline_oblique_384x288", "", True, "yolox", 0.45),
    ("yolox_nano_416", "", True, "yolox", 0.5),
    ("kazuhito_person_rpi", "", True, "yolox", 0.5),
    ("FastestDet", "", False, "fastestdet", 0.65),
)
REFERENCE = "FastestDet"
ROUNDS = 60


def on_scenes(detector, scenes, name):
    score, say = Score(0.5), Progress(f"{name}: held-out scenes", len(scenes))
    for done, (jpeg, boxes) in enumerate(zip(scenes.jpegs, scenes.boxes), 1):
        frame = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        score.add(detector(frame), boxes[boxes[:, 4] == 1, :4], boxes[boxes[:, 4] == 0, :4])
        say(done)
    return score


def on_clips(detectors, view, folder):
    """Of every detector on every clip of this view: a Score."""
    found = {}
    for clip, read, match, wanted in clips.CLIPS:
        if wanted != view:
            continue
        scores = {name: Score(match) for name in detectors}
        for frame, truth, ignored in read(folder):
            for name, detector in detectors.items():
                scores[name].add(detector(frame), truth, ignored)
        found[clip] = scores
    return found


def milliseconds(detectors):
    """Median time of one inference, one thread; in turns, so that whatever else the machine does hits all alike."""
    spent = {name: [] for name in detectors}
    noise = numpy.random.default_rng(5)
    tensors = {
        name: noise.uniform(0, 255, (1, 3, each.height, each.width)).astype(numpy.float32) for name, each in detectors.items()
    }
    for _ in range(ROUNDS):
        for name, each in detectors.items():
            start = time.perf_counter()
            each.run(tensors[name])
            spent[name].append((time.perf_counter() - start) * 1e3)
    return {name: float(numpy.median(each[5:])) for name, each in spent.items()}


def manifest_threshold(stem):
    lines = stem.with_suffix(".toml").read_text().split("\n")
    return float(next(line for line in lines if line.startswith("threshold")).split("=")[1])


def row(score, threshold):
    recall, precision = score.at(threshold)
    return {
        "ap": score.average_precision(),
        "threshold": threshold,
        "recall": recall,
        "precision": precision,
        "false_alarms": score.false_alarms(threshold),
        "frames": score.frames,
        "people": score.people,
        "empty_frames": len(score.empty),
    }


def main():
    arguments = arguments_of(
        __doc__,
        ("--shipped", dict(type=pathlib.Path, metavar="MODELS", help="folder of weights to be compared with, from an earlier run")),
        ("--of", dict(type=pathlib.Path, metavar="MODELS", help="judge the weights in this folder, not those in OUT")),
    )
    chosen = recipe(arguments.view, arguments.size)
    letterbox = arguments.view == "oblique"
    stem = arguments.of / chosen.name if arguments.of else arguments.out / "model"
    own = {name: stem.with_name(f"{stem.name}{suffix}.onnx") for name, suffix in (("float", ""), ("int8", "-int8"))}
    detectors = {name: Detector(path, letterbox, inside=chosen.inside) for name, path in own.items()}
    scenes = Scenes(arguments.out, chosen, "held")
    scores = {name: on_scenes(detector, scenes, f"{chosen.name} {name}") for name, detector in detectors.items()}
    threshold = manifest_threshold(stem) if arguments.of else scores["float"].best_threshold()
    thresholds = dict.fromkeys(own, threshold)
    results = {
        "name": chosen.name,
        "threshold": threshold,
        "scenes": {name: row(score, threshold) for name, score in scores.items()},
        "clips": {},
    }
    folder = clips.data()
    if folder:
        for name, view, box, decoder, usual in OTHERS if arguments.size != "tiny" else ():
            path = folder / "models" / f"{name}.onnx"
            if path.exists() and view in ("", arguments.view):
                detectors[name], thresholds[name] = Detector(path, box, decoder), usual
        before = arguments.shipped and arguments.shipped / f"{chosen.name}.onnx"
        if before and before.exists():
            detectors["shipped"], thresholds["shipped"] = Detector(before, letterbox, inside=chosen.inside), threshold
        for clip, found in on_clips(detectors, arguments.view, folder).items():
            results["clips"][clip] = {name: row(score, thresholds[name]) for name, score in found.items()}
    spent = milliseconds(detectors)
    results["milliseconds"] = spent
    results["reference"] = REFERENCE if REFERENCE in spent else None
    if not arguments.of:
        (arguments.out / "results.json").write_text(json.dumps(results, indent=1))
    print("\n".join(table(results)))


def table(results):
    """Lines of text, as on the model card."""
    yield "| on | weights | AP | threshold | recall | precision | frames of nobody with somebody found | people | frames |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for on, rows in (("held-out scenes", results["scenes"]), *results["clips"].items()):
        for name, cells in rows.items():
            empty = f"{cells['false_alarms']:.1%} of {cells['empty_frames']}" if cells["empty_frames"] else "–"
            yield (
                f"| {on} | {name} | {cells['ap']:.3f} | {cells['threshold']:.2f} | {cells['recall']:.3f} "
                f"| {cells['precision']:.3f} | {empty} | {cells['people']} | {cells['frames']} |"
            )
    yield ""
    yield "| weights | ms | to the reference |"
    yield "|---|---|---|"
    spent, reference = results["milliseconds"], results["reference"]
    for name, each in spent.items():
        yield f"| {name} | {each:.2f} | {f'{each / spent[reference]:.2f}' if reference else '–'} |"


if __name__ == "__main__":
    main()
