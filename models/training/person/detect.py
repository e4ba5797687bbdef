"""Runs detectors as the daemon does: ONNX Runtime, one thread, the daemon's resizing, boxes in pixels of the frame."""

import cv2
import numpy
import onnxruntime

PAD = 114


def session(path, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Detector:
    """A model with its way of being fed. `letterbox`: keep the shape and pad at the right and below, else stretch."""

    def __init__(self, path, letterbox, decoder="yolox", nms=0.5, inside=1.0):
        self.session = session(path)
        inputs = self.session.get_inputs()[0]
        self.name, (_, _, self.height, self.width) = inputs.name, inputs.shape
        self.letterbox, self.decoder, self.nms, self.inside = letterbox, decoder, nms, inside

    def tensor(self, frame):
        height, width = frame.shape[:2]
        if self.letterbox:
            scale = min(self.width / width, self.height / height)
            size = (round(width * scale), round(height * scale))
            canvas = numpy.full((self.height, self.width, 3), PAD, numpy.uint8)
            canvas[: size[1], : size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
            back = (width / size[0], height / size[1])
        else:
            canvas = cv2.resize(frame, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
            back = (width / self.width, height / self.height)
        tensor = canvas.transpose(2, 0, 1)[None].astype(numpy.float32)
        return (tensor / 255 if self.decoder == "fastestdet" else tensor), back

    def run(self, tensor):
        return self.session.run(None, {self.name: tensor})[0][0]

    def __call__(self, frame, floor=0.02):
        """n x 5, best first: corners in pixels of the frame, clipped to it, and the score."""
        tensor, (sx, sy) = self.tensor(frame)
        decode = fastestdet if self.decoder == "fastestdet" else yolox
        found = suppress(decode(self.run(tensor), self.height, self.width, floor), self.nms, self.inside)
        height, width = frame.shape[:2]
        found[:, [0, 2]] = (found[:, [0, 2]] * sx).clip(0, width)
        found[:, [1, 3]] = (found[:, [1, 3]] * sy).clip(0, height)
        return found


def yolox(output, height, width, floor):
    cells = []
    for stride in (8, 16, 32):
        rows, columns = numpy.mgrid[0 : height // stride, 0 : width // stride]
        cells.append(numpy.stack([columns, rows, numpy.full_like(rows, stride)], 2).reshape(-1, 3))
    cells = numpy.concatenate(cells)
    score = output[:, 4] * output[:, 5]  # the first class is the person
    keep = score >= floor
    output, cells, score = output[keep], cells[keep], score[keep]
    centre = (output[:, :2] + cells[:, :2]) * cells[:, 2:]
    half = numpy.exp(output[:, 2:4].clip(-8, 8)) * cells[:, 2:] / 2
    return numpy.concatenate([centre - half, centre + half, score[:, None]], 1)


def fastestdet(output, height, width, floor):
    rows, columns = output.shape[1:]
    score = output[0] ** 0.6 * output[5:].max(0) ** 0.4 * (output[5:].argmax(0) == 0)
    y, x = numpy.nonzero(score >= floor)
    sigmoid = lambda value: 1 / (1 + numpy.exp(-value))
    centre = numpy.stack([(x + numpy.tanh(output[1, y, x])) / columns, (y + numpy.tanh(output[2, y, x])) / rows], 1)
    size = numpy.stack([sigmoid(output[3, y, x]), sigmoid(output[4, y, x])], 1)
    corners = numpy.concatenate([centre - size / 2, centre + size / 2], 1) * ([width, height] * 2)
    return numpy.concatenate([corners, score[y, x][:, None]], 1)


def common(box, boxes):
    """Area that one box shares with each of n, its own area, and theirs."""
    low, high = numpy.maximum(box[:2], boxes[:, :2]), numpy.minimum(box[2:4], boxes[:, 2:4])
    return (high - low).clip(0).prod(1), (box[2:4] - box[:2]).prod(), (boxes[:, 2:4] - boxes[:, :2]).prod(1)


def overlap(box, boxes):
    """IoU of one box with n."""
    both, one, areas = common(box, boxes)
    return both / numpy.maximum(one + areas - both, 1e-9)


def suppress(found, iou, inside):
    """Drops what overlaps something stronger by more than `iou`, or of the smaller of both by more than the share `inside`."""
    found = found[numpy.argsort(-found[:, 4], kind="stable")]
    kept = []
    while len(found):
        best, found = found[0], found[1:]
        kept.append(best)
        both, one, areas = common(best, found)
        found = found[(overlap(best, found) <= iou) & (both <= inside * numpy.minimum(one, areas))]
    return numpy.array(kept).reshape(-1, 5)
