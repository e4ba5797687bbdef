"""Counts people who cross two lines on a recording, with the usual Python stack.

Usage: count.py CLIP FastestDet.onnx

OpenCV decodes and resizes, the ONNX Runtime infers, NumPy decodes the boxes, `supervision` suppresses overlaps and
counts (LineZone), `trackers` tracks (ByteTrack). One thread each. Model, thresholds, lines and anchor are those of
the config that `compare` gives to footfall. Prints one JSON document.
"""

import json
import os
import sys
import time

# Before OpenCV is loaded: its FFmpeg decodes with as many threads as there are cores otherwise.
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"

import cv2
import numpy as np
import onnxruntime
import supervision as sv
from trackers import ByteTrackTracker

SIDE = 352
THRESHOLD, FLOOR, OVERLAP = 0.65, 0.3, 0.45
PERSON = 0


class FastestDet:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def people(self, image):
        resized = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        tensor = resized.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
        planes = self.session.run(None, {self.input: tensor})[0][0]
        # Only cells that can reach the floor are looked at any closer.
        rows, columns = np.nonzero(planes[0] >= FLOOR ** (1 / 0.6))
        cells = planes[:, rows, columns]
        classes = cells[5:].argmax(0)
        scores = cells[0] ** 0.6 * cells[5:].max(0) ** 0.4
        wanted = (classes == PERSON) & (scores >= FLOOR)
        cells, scores, rows, columns = cells[:, wanted], scores[wanted], rows[wanted], columns[wanted]
        height, width = image.shape[:2]
        count_y, count_x = planes.shape[1:]
        centre = np.stack([(columns + np.tanh(cells[1])) / count_x, (rows + np.tanh(cells[2])) / count_y], 1)
        half = 0.5 / (1 + np.exp(-cells[3:5].T))
        boxes = np.concatenate([centre - half, centre + half], 1) * [width, height, width, height]
        boxes = boxes.clip(0, [width, height, width, height]).astype(np.float32)
        found = sv.Detections(xyxy=boxes, confidence=scores, class_id=np.zeros(len(scores), int))
        return found.with_nms(OVERLAP)


def line(start, end, width, height):
    points = [sv.Point(x * width, y * height) for x, y in (start, end)]
    return sv.LineZone(*points, triggering_anchors=[sv.Position.BOTTOM_CENTER])


def main():
    clip, model = sys.argv[1:]
    cv2.setNumThreads(1)
    detector = FastestDet(model)
    video = cv2.VideoCapture(clip)
    width, height = video.get(cv2.CAP_PROP_FRAME_WIDTH), video.get(cv2.CAP_PROP_FRAME_HEIGHT)
    lines = {
        "middle": line((0.5, 1.0), (0.5, 0.0), width, height),
        "across": line((0.0, 0.5), (1.0, 0.5), width, height),
    }
    tracker = ByteTrackTracker(
        frame_rate=video.get(cv2.CAP_PROP_FPS),
        track_activation_threshold=THRESHOLD,
        high_conf_det_threshold=THRESHOLD,
    )
    frames, start = 0, time.process_time()
    while True:
        more, image = video.read()
        if not more:
            break
        frames += 1
        tracked = tracker.update(detector.people(image))
        tracked = tracked[tracked.tracker_id >= 0]
        for zone in lines.values():
            zone.trigger(tracked)
    spent = time.process_time() - start
    counts = {name: [zone.out_count, zone.in_count] for name, zone in lines.items()}
    print(json.dumps({"frames": frames, "loop_cpu_s": spent, "lines": counts}))


main()
