"""Scores tracks on sequences of the MOT15 benchmark, side by side with SORT on the same detections.

    mot_scores.py NAME=TRUTH,DETECTIONS,TRACKS ...

Prints one JSON object: for each sequence, for "footfall" and "sort": mota and idf1 (0..1), id switches, false
positives, misses. Boxes match at an IoU of 0.5 or more, as the benchmark does it. Exit code 77: a package is missing.

SORT is written here after its paper, with the paper's parameters: A. Bewley, Z. Ge, L. Ott, F. Ramos, B. Upcroft,
"Simple Online and Realtime Tracking", ICIP 2016.
"""

import json
import sys

try:
    import numpy as np

    # motmetrics 1.4.0 still says what numpy 2 no longer has.
    if not hasattr(np, "asfarray"):
        np.asfarray = lambda values: np.asarray(values, dtype=float)
    import motmetrics
    from scipy.optimize import linear_sum_assignment
except ImportError as missing:
    print(f"{missing}; scripts/setup --tests installs it", file=sys.stderr)
    sys.exit(77)

# Section 3.3 and 4 of the paper: least overlap, frames a track outlives its last detection, hits before it is shown.
MIN_IOU = 0.3
MAX_AGE = 1
MIN_HITS = 3


def read(path):
    """{frame: [(id, left, top, width, height), ...]}; rows that the benchmark marks as not to be scored are left out."""
    frames = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            row = [float(value) for value in line.split(",")]
            if row[6] != 0:
                frames.setdefault(int(row[0]), []).append((int(row[1]), *row[2:6]))
    return frames


def iou(a, b):
    """Overlap of two boxes (x0, y0, x1, y1)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


class SortTrack:
    """State: centre u, v, area s, aspect ratio r, and the speeds of the first three (section 3.2)."""

    F = np.eye(7) + np.eye(7, k=4)
    H = np.eye(4, 7)
    # The paper gives no noise; these are the values its authors published with it.
    Q = np.diag([1, 1, 1, 1, 0.01, 0.01, 0.0001])
    R = np.diag([1, 1, 10, 10])

    def __init__(self, number, box):
        self.number = number
        self.x = np.append(self.measured(box), [0, 0, 0])
        self.p = np.diag([10, 10, 10, 10, 10000, 10000, 10000]).astype(float)
        self.streak = 0
        self.unseen = 0

    @staticmethod
    def measured(box):
        width, height = box[2] - box[0], box[3] - box[1]
        return np.array([box[0] + width / 2, box[1] + height / 2, width * height, width / height])

    def predict(self):
        if self.x[2] + self.x[6] <= 0:
            self.x[6] = 0
        self.x = self.F @ self.x
        self.p = self.F @ self.p @ self.F.T + self.Q
        if self.unseen:
            self.streak = 0
        self.unseen += 1
        return self.box()

    def update(self, box):
        self.unseen = 0
        self.streak += 1
        gain = self.p @ self.H.T @ np.linalg.inv(self.H @ self.p @ self.H.T + self.R)
        self.x = self.x + gain @ (self.measured(box) - self.H @ self.x)
        self.p = (np.eye(7) - gain @ self.H) @ self.p

    def box(self):
        u, v, s, r = self.x[:4]
        width = np.sqrt(max(s * r, 1e-6))
        height = s / width
        return (u - width / 2, v - height / 2, u + width / 2, v + height / 2)


def sort(detections):
    """Tracks of SORT, as `read` gives them."""
    tracks, shown, number = [], {}, 0
    for frame in range(1, max(detections) + 1):
        boxes = [(x, y, x + w, y + h) for _, x, y, w, h in detections.get(frame, [])]
        expected = [track.predict() for track in tracks]
        overlap = np.array([[iou(box, one) for one in expected] for box in boxes]).reshape(len(boxes), len(tracks))
        taken = set()
        for row, column in zip(*linear_sum_assignment(-overlap)):
            if overlap[row, column] >= MIN_IOU:
                tracks[column].update(boxes[row])
                taken.add(row)
        for row, box in enumerate(boxes):
            if row not in taken:
                number += 1
                tracks.append(SortTrack(number, box))
        for track in tracks:
            if track.unseen < 1 and (track.streak >= MIN_HITS or frame <= MIN_HITS):
                x0, y0, x1, y1 = track.box()
                shown.setdefault(frame, []).append((track.number, x0, y0, x1 - x0, y1 - y0))
        tracks = [track for track in tracks if track.unseen <= MAX_AGE]
    return shown


def scores(truth, tracks):
    book = motmetrics.MOTAccumulator()
    for frame in range(1, max(truth) + 1):
        true, found = truth.get(frame, []), tracks.get(frame, [])
        distances = motmetrics.distances.iou_matrix([t[1:] for t in true], [f[1:] for f in found], max_iou=0.5)
        book.update([t[0] for t in true], [f[0] for f in found], distances, frameid=frame)
    names = ["mota", "idf1", "num_switches", "num_false_positives", "num_misses"]
    summary = motmetrics.metrics.create().compute(book, metrics=names)
    return {name: float(summary[name].iloc[0]) for name in names}


def main():
    result = {}
    for argument in sys.argv[1:]:
        name, files = argument.split("=", 1)
        truth, detections, tracks = (read(path) for path in files.split(","))
        result[name] = {"footfall": scores(truth, tracks), "sort": scores(truth, sort(detections))}
    json.dump(result, sys.stdout)


main()
