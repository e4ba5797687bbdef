"""Holds the exported detector against held-out frames, the way the daemon feeds and reads it. See README.md.

    python3 evaluate.py FRAMES MODEL.onnx [--threshold 0.5] [--nms-iou 0.6]
"""

import argparse
import csv
import pathlib

import cv2
import numpy
import onnxruntime

STRIDES = (8, 16, 32)
# People of whom less can be seen are neither right nor wrong.
VISIBLE = 0.4
MATCH = 0.5


def overlap(box, boxes):
    low = numpy.maximum(box[:2], boxes[:, :2])
    high = numpy.minimum(box[2:4], boxes[:, 2:4])
    both = (high - low).clip(0).prod(1)
    area = lambda b: (b[..., 2:4] - b[..., :2]).prod(-1)
    return both / (area(box) + area(boxes) - both)


def decode(output, width, height, floor, nms_iou):
    """Raw YOLOX layout to boxes with scores, best first, in pixels of the input."""
    cells = []
    for stride in STRIDES:
        rows, columns = numpy.mgrid[0 : height // stride, 0 : width // stride]
        cells.append(numpy.stack([columns, rows, numpy.full_like(rows, stride)], 2).reshape(-1, 3))
    cells = numpy.concatenate(cells)
    score = output[:, 4] * output[:, 5]
    keep = score >= floor
    output, cells, score = output[keep], cells[keep], score[keep]
    centre = (output[:, :2] + cells[:, :2]) * cells[:, 2:]
    half = numpy.exp(output[:, 2:4]) * cells[:, 2:] / 2
    found = numpy.concatenate([centre - half, centre + half, score[:, None]], 1)
    found = found[numpy.argsort(-found[:, 4], kind="stable")]
    kept = []
    for box in found:
        if not kept or overlap(box, numpy.array(kept)).max() <= nms_iou:
            kept.append(box)
    return numpy.array(kept).reshape(-1, 5)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("frames", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--nms-iou", type=float, default=0.6)
    arguments = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(arguments.model, options)
    inputs = session.get_inputs()[0]
    _, _, height, width = inputs.shape
    labels = {}
    for name, *numbers in csv.reader(open(arguments.frames / "labels.csv")):
        labels.setdefault(name, []).append([float(number) for number in numbers])

    marks, people, bottoms = [], 0, []
    names = (arguments.frames / "frames.csv").read_text().split()
    for name in names:
        pixels = cv2.cvtColor(cv2.imread(str(arguments.frames / name)), cv2.COLOR_BGR2RGB)
        scale = numpy.array([pixels.shape[1] / width, pixels.shape[0] / height] * 2)
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        tensor = small.transpose(2, 0, 1)[None].astype(numpy.float32)
        output = session.run(None, {inputs.name: tensor})[0][0]
        found = decode(output, width, height, 0.05, arguments.nms_iou)
        found[:, :4] *= scale
        found[:, [0, 2]] = found[:, [0, 2]].clip(0, pixels.shape[1])
        found[:, [1, 3]] = found[:, [1, 3]].clip(0, pixels.shape[0])
        truth = numpy.array(labels.get(name, [])).reshape(-1, 5)
        judged = truth[:, 4] >= VISIBLE
        people += int(judged.sum())
        taken = numpy.zeros(len(truth), bool)
        for box in found:
            iou = overlap(box, truth) * ~taken if len(truth) else numpy.zeros(0)
            best = int(iou.argmax()) if len(iou) else -1
            hit = len(iou) > 0 and iou[best] >= MATCH
            if hit:
                taken[best] = True
                if not judged[best]:
                    continue
                if box[4] >= arguments.threshold and truth[best, 3] < pixels.shape[0] - 1:
                    bottoms.append((box[3] - truth[best, 3]) / (truth[best, 3] - truth[best, 1]))
            elif len(truth) and (overlap(box, truth) * ~judged).max() > 0.2:
                continue  # lies on somebody of whom hardly anything can be seen
            marks.append((box[4], hit))
    marks.sort(key=lambda mark: -mark[0])
    hits = numpy.cumsum([hit for _, hit in marks])
    recall, precision = hits / people, hits / numpy.arange(1, len(marks) + 1)
    envelope = numpy.maximum.accumulate(precision[::-1])[::-1]
    average = float(numpy.sum(numpy.diff(recall, prepend=0) * envelope))
    print(f"{len(names)} frames, {people} people of whom at least {VISIBLE:.0%} can be seen")
    print(f"AP at IoU {MATCH}: {average:.4f}")
    for threshold in sorted({0.2, 0.3, 0.4, 0.5, 0.6, arguments.threshold}):
        at = sum(score >= threshold for score, _ in marks) - 1
        print(f"threshold {threshold:.2f}: recall {recall[at]:.4f}, precision {precision[at]:.4f}")
    bottoms = numpy.array(bottoms)
    print(f"lower edge, in box heights: mean {bottoms.mean():+.4f}, deviation {bottoms.std():.4f}")


if __name__ == "__main__":
    main()
