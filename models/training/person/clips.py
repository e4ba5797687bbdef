"""The recordings with hand labels that detectors are judged on, and never trained on: read from FOOTFALL_DATA.

Each yields (frame, boxes of people, regions not judged) for `score.Score`; None for boxes: nobody is there, and the frame
counts for false alarms only.
"""

import csv
import json
import os
import pathlib

import cv2


def data():
    """The data folder, or None with a word on it."""
    folder = os.environ.get("FOOTFALL_DATA")
    if not folder or not pathlib.Path(folder, "clips").is_dir():
        print("SKIPPED: recordings; FOOTFALL_DATA does not say where they are", flush=True)
        return None
    return pathlib.Path(folder)


def frames(path):
    """(seconds, frame) of every picture the file holds."""
    video = cv2.VideoCapture(str(path))
    while True:
        there, frame = video.read()
        if not there:
            return
        yield video.get(cv2.CAP_PROP_POS_MSEC) / 1e3, frame


def steady(path, rate):
    """(number, frame) at a constant rate: where the file leaves pictures out the last one stays, as a player shows it."""
    number, last = 0, None
    for seconds, frame in frames(path):
        while last is not None and number < round(seconds * rate):
            yield number, last
            number += 1
        last = frame
    yield number, last


def bus(folder):
    """koba_bus: straight from above, 320x240; head and torso. Its labels number the frames from 1 at a steady 15 a second."""
    labels = json.loads((folder / "clips/koba_bus.labels.json").read_text())
    labelled, empty = labels["koba_bus.avi"], set(labels["empty_frames"])
    for number, frame in steady(folder / "clips/koba_bus.avi", 15):
        if str(number + 1) in labelled:
            label = labelled[str(number + 1)]
            yield frame, label["boxes"], label["ignore"]
        elif number + 1 in empty:
            yield frame, None, []


def pets(folder):
    """PETS 2009 S2.L1 view 1: a street from a mast, 480x360; whole bodies."""
    truth = {}
    for row in csv.reader(open(folder / "mot/PETS09-S2L1_gt_raw.txt")):
        number, x, y, width, height = int(row[0]), *(float(value) * 0.625 for value in row[2:6])
        truth.setdefault(number - 1, []).append((x, y, x + width, y + height))
    for number, (_, frame) in enumerate(frames(folder / "clips/pets09-s2l1-view1.mp4")):
        if number % 5 == 0:
            height, width = frame.shape[:2]
            clip = lambda box: [min(max(v, 0), limit) for v, limit in zip(box, (width, height) * 2)]
            yield frame, [clip(box) for box in truth.get(number, [])], []


# Name, reader, IoU that counts as found, view.
CLIPS = (("koba_bus", bus, 0.3, "overhead"), ("PETS09 S2.L1", pets, 0.5, "oblique"))
