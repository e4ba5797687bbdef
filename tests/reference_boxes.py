"""Reference boxes: a model run the way its owner publishes it, in Python.

Usage: reference_boxes.py CLIP MODEL.onnx DECODER THRESHOLD NMS_IOU COUNT OUT_DIR

Writes COUNT frames of CLIP, evenly spaced, as PNG to OUT_DIR, and boxes.json beside them:
[{"frame": "000.png", "boxes": [[x0, y0, x1, y1, score], ...]}, ...], people only, in pixels of the frame.
Exit code 77: a Python package is missing.
"""

import json
import pathlib
import sys

try:
    import cv2
    import numpy as np
    import onnxruntime
except ImportError as error:
    print(f"missing Python package: {error}", file=sys.stderr)
    sys.exit(77)

PERSON = 0


def prepare(image, decoder, width, height):
    """The owner's preparation: YOLOX pads on the right and below, NanoDet too and normalises, FastestDet stretches and
    divides."""
    if decoder == "fastestdet":
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        tensor = resized.astype(np.float32) / 255.0
        return tensor.transpose(2, 0, 1)[None], None
    ratio = min(height / image.shape[0], width / image.shape[1])
    size = (int(image.shape[1] * ratio), int(image.shape[0] * ratio))
    padded = np.full((height, width, 3), 0 if decoder == "nanodet" else 114, np.uint8)
    padded[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    if decoder == "nanodet":
        padded = (padded - np.array([103.53, 116.28, 123.675])) / np.array([57.375, 57.12, 58.395])
    return padded.transpose(2, 0, 1)[None].astype(np.float32), ratio


def decode_yolox(output, width, height, ratio):
    """All cells at once: corners in pixels of the frame, scores and classes."""
    grids, strides = [], []
    for stride in (8, 16, 32):
        columns, rows = np.meshgrid(np.arange(width // stride), np.arange(height // stride))
        grids.append(np.stack([columns, rows], -1).reshape(-1, 2))
        strides.append(np.full((grids[-1].shape[0], 1), stride))
    grid, stride = np.concatenate(grids), np.concatenate(strides)
    cells = output[0].astype(np.float64)
    centre = (cells[:, 0:2] + grid) * stride
    size = np.exp(cells[:, 2:4]) * stride
    corners = np.concatenate([centre - size / 2, centre + size / 2], 1) / ratio
    classes = cells[:, 5:].argmax(1)
    scores = cells[:, 4] * cells[:, 5:].max(1)
    return corners, scores, classes


def decode_nanodet(outputs, width, height, ratio):
    """Scores of the three strides, then the distributions of the distances to the four sides, in eight bins."""
    corners, scores, classes = [], [], []
    for stride, score, sides in zip((8, 16, 32), outputs[:3], outputs[3:]):
        columns, rows = np.meshgrid(np.arange(-(-width // stride)), np.arange(-(-height // stride)))
        centre = (np.stack([columns, rows], -1).reshape(-1, 2) + 0.5) * stride
        bins = np.exp(sides[0].astype(np.float64).reshape(-1, 4, 8))
        distance = (bins * np.arange(8)).sum(-1) / bins.sum(-1) * stride
        corners.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], 1) / ratio)
        scores.append(score[0].max(1))
        classes.append(score[0].argmax(1))
    return np.concatenate(corners), np.concatenate(scores), np.concatenate(classes)


def decode_fastestdet(output, image):
    values = output[0].astype(np.float64)
    rows, columns = values.shape[1:]
    row, column = np.mgrid[0:rows, 0:columns]
    cx = (column + np.tanh(values[1])) / columns
    cy = (row + np.tanh(values[2])) / rows
    half_width = 0.5 / (1 + np.exp(-values[3]))
    half_height = 0.5 / (1 + np.exp(-values[4]))
    corners = np.stack([cx - half_width, cy - half_height, cx + half_width, cy + half_height], -1)
    height, width = image.shape[:2]
    corners = corners.reshape(-1, 4) * [width, height, width, height]
    scores = values[0] ** 0.6 * values[5:].max(0) ** 0.4
    return corners, scores.ravel(), values[5:].argmax(0).ravel()


def overlap(box, others):
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), 1)
    area = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], 1)
    return both / (area - both)


def suppress(corners, scores, limit):
    order, kept = np.argsort(-scores, kind="stable"), []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlap(corners[best], corners[order]) <= limit]
    return kept


def people(session, image, decoder, threshold, limit):
    _, _, height, width = session.get_inputs()[0].shape
    tensor, ratio = prepare(image, decoder, width, height)
    outputs = session.run(None, {session.get_inputs()[0].name: tensor})
    if decoder == "yolox":
        corners, scores, classes = decode_yolox(outputs[0], width, height, ratio)
    elif decoder == "nanodet":
        corners, scores, classes = decode_nanodet(outputs, width, height, ratio)
    else:
        corners, scores, classes = decode_fastestdet(outputs[0], image)
    wanted = (scores >= threshold) & (classes == PERSON)
    corners, scores = corners[wanted], scores[wanted]
    kept = suppress(corners, scores, limit)
    corners[:, 0::2] = corners[:, 0::2].clip(0, image.shape[1])
    corners[:, 1::2] = corners[:, 1::2].clip(0, image.shape[0])
    return [[*map(float, corners[i]), float(scores[i])] for i in kept]


def frames(clip, count):
    """`count` frames, evenly spaced; read one after another, as seeking is not exact."""
    video = cv2.VideoCapture(clip)
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = {round((k + 0.5) * total / count) for k in range(count)}
    for index in range(total):
        if not video.grab():
            return
        if index in wanted:
            yield video.retrieve()[1]


def main():
    clip, model, decoder, threshold, limit, count, out = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    out, found = pathlib.Path(out), []
    for index, image in enumerate(frames(clip, int(count))):
        name = f"{index:03}.png"
        cv2.imwrite(str(out / name), image)
        boxes = people(session, image, decoder, float(threshold), float(limit))
        found.append({"frame": name, "boxes": boxes})
    (out / "boxes.json").write_text(json.dumps(found))


main()
