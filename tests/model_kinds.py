"""Small models of every kind that a manifest can describe, each with its manifest and the boxes it ought to give.

Usage: model_kinds.py OUT_DIR

Every model is made here from random numbers (SEED): a few convolutions that end in the outputs of a family of
detectors. Writes NAME.onnx, NAME.toml, NAME.png and boxes.json: {"NAME": [[x0, y0, x1, y1, score, class], ...]},
all boxes of at least the floor, nothing suppressed, in pixels of the picture. The boxes are decoded here with NumPy.
Exit code 77: a Python package is missing.
"""

import hashlib
import json
import pathlib
import sys

try:
    import cv2
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from onnxruntime import quantization
except ImportError as error:
    print(f"missing Python package: {error}", file=sys.stderr)
    sys.exit(77)

SEED = 20
WIDTH, HEIGHT = 96, 64
CLASSES = 3
BINS = 8
FLOOR = 0.1
STRIDES = (8, 16, 32)
FLOAT, HALF, BYTE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


class Graph:
    """An ONNX graph in the making, all of it in one type of number."""

    def __init__(self, number=FLOAT, taken=None, sides=(1, 3, HEIGHT, WIDTH)):
        self.number, self.nodes, self.weights, self.outputs = number, [], [], []
        self.random = np.random.default_rng(SEED)
        self.input = helper.make_tensor_value_info("images", taken or number, sides)
        # Bytes become numbers, and grey levels of about one.
        picture = self.add("Cast", ["images"], to=number) if taken else "images"
        self.picture = self.add("Mul", [picture, self.weight(np.array(1 / 128))])

    def weight(self, values, kind=None):
        name = f"w{len(self.weights)}"
        kind = kind or (np.float16 if self.number == HALF else np.float32)
        self.weights.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, operation, inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def cells(self, stride, values, spread):
        """1 × values × rows × columns: what each cell of a stride has to say."""
        shape = (values, 3, stride, stride)
        kernel = self.random.normal(0, spread / stride, shape)
        bias = self.random.normal(0, spread, values)
        return self.add("Conv", [self.picture, self.weight(kernel), self.weight(bias)],
                        kernel_shape=[stride, stride], strides=[stride, stride])

    def flat(self, cells, values):
        """1 × values × cells."""
        return self.add("Reshape", [cells, self.weight([1, values, -1], np.int64)])

    def turned(self, tensor):
        return self.add("Transpose", [tensor], perm=[0, 2, 1])

    def join(self, tensors, axis):
        return self.add("Concat", tensors, axis=axis)

    def give(self, tensor, name, kind=None):
        self.nodes.append(helper.make_node("Identity", [tensor], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind or self.number, None))

    def model(self):
        graph = helper.make_graph(self.nodes, "kinds", [self.input], self.outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def yolov8(turned=False, **how):
    graph = Graph(**how)
    places, scores = [], []
    for stride in STRIDES:
        places.append(graph.flat(graph.add("Sigmoid", [graph.cells(stride, 4, 1)]), 4))
        scores.append(graph.flat(graph.add("Sigmoid", [graph.cells(stride, CLASSES, 1)]), CLASSES))
    pixels = graph.weight(np.array([WIDTH, HEIGHT, WIDTH / 2, HEIGHT / 2]).reshape(1, 4, 1))
    places = graph.add("Mul", [graph.join(places, 2), pixels])
    output = graph.join([places, graph.join(scores, 2)], 1)
    graph.give(graph.turned(output) if turned else output, "output0")
    return graph.model()


def yolox(name="output", extra=False):
    graph = Graph()
    cells = []
    for stride in STRIDES:
        place = graph.flat(graph.cells(stride, 4, 0.5), 4)
        score = graph.flat(graph.add("Sigmoid", [graph.cells(stride, 1 + CLASSES, 1)]), 1 + CLASSES)
        cells.append(graph.join([place, score], 1))
    output = graph.turned(graph.join(cells, 2))
    if extra:
        # Of the same shape and nonsense, and one that nobody could read.
        graph.give(graph.add("Mul", [output, graph.weight(np.array(0.5))]), "auxiliary")
        graph.give(graph.add("Shape", [output]), "size", TensorProto.INT64)
    graph.give(output, name)
    return graph.model()


def nanodet(together=False, names=("cls", "dis"), classes=CLASSES):
    graph = Graph()
    rows, apart = [], []
    for stride in STRIDES:
        score = graph.turned(graph.flat(graph.add("Sigmoid", [graph.cells(stride, classes, 1)]), classes))
        sides = graph.turned(graph.flat(graph.cells(stride, 4 * BINS, 1), 4 * BINS))
        rows.append(graph.join([score, sides], 2))
        apart.append((stride, score, sides))
    if together:
        graph.give(graph.join(rows, 1), "output")
    else:
        for stride, score, sides in reversed(apart):
            graph.give(sides, f"{names[1]}_{stride}")
            graph.give(score, f"{names[0]}_{stride}")
    return graph.model()


def fastestdet():
    graph = Graph()
    stride = 16
    parts = [
        graph.add("Sigmoid", [graph.cells(stride, 1, 1)]),
        graph.cells(stride, 4, 0.5),
        graph.add("Softmax", [graph.cells(stride, CLASSES, 1)], axis=1),
    ]
    graph.give(graph.join(parts, 1), "output")
    return graph.model()


def quantised(model, folder):
    """The same in 8-bit integers, between quantising and dequantising nodes."""

    class Pictures(quantization.CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(SEED)
            shape = (1, 3, HEIGHT, WIDTH)
            self.left = iter([{"images": random.integers(0, 256, shape).astype(np.float32)} for _ in range(4)])

        def get_next(self):
            return next(self.left, None)

    source, target = folder / "source.onnx", folder / "target.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), source)
    quantization.quantize_static(str(source), str(target), Pictures(), quant_format=quantization.QuantFormat.QDQ,
                                 op_types_to_quantize=["Conv"], per_channel=True)
    model = onnx.load(target)
    source.unlink()
    target.unlink()
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    return model


def corners(centre, size):
    return np.concatenate([centre - size / 2, centre + size / 2], -1)


def cell_places(stride):
    columns, rows = np.meshgrid(np.arange(WIDTH // stride), np.arange(HEIGHT // stride))
    return np.stack([columns, rows], -1).reshape(-1, 2)


def decoded(decoder, outputs):
    """Corners in pixels of the input, and the score of every class, of all cells."""
    if decoder == "yolov8":
        cells = outputs["output0"][0].astype(np.float64)
        cells = cells.T if cells.shape[0] == 4 + CLASSES else cells
        return corners(cells[:, :2], cells[:, 2:4]), cells[:, 4:]
    if decoder == "yolox":
        cells = outputs["output"][0].astype(np.float64)
        places = np.concatenate([cell_places(stride) for stride in STRIDES])
        strides = np.concatenate([np.full((len(cell_places(stride)), 1), stride) for stride in STRIDES])
        boxes = corners((cells[:, :2] + places) * strides, np.exp(cells[:, 2:4]) * strides)
        return boxes, cells[:, 4:5] * cells[:, 5:]
    if decoder == "fastestdet":
        planes = outputs["output"][0].astype(np.float64)
        cells = planes.reshape(planes.shape[0], -1).T
        centre = (cell_places(16) + np.tanh(cells[:, 1:3])) * 16
        size = 1 / (1 + np.exp(-cells[:, 3:5])) * [WIDTH, HEIGHT]
        return corners(centre, size), cells[:, :1] ** 0.6 * cells[:, 5:] ** 0.4
    boxes, scores, first = [], [], 0
    for stride in STRIDES:
        places = cell_places(stride)
        if "output" in outputs:
            rows = outputs["output"][0, first : first + len(places)].astype(np.float64)
            score, sides = rows[:, : -4 * BINS], rows[:, -4 * BINS :]
            first += len(places)
        else:
            score, sides = (outputs[f"{kind}_{stride}"][0].astype(np.float64) for kind in ("cls", "dis"))
        share = np.exp(sides.reshape(-1, 4, BINS))
        distance = (share * np.arange(BINS)).sum(-1) / share.sum(-1)
        centre = places + 0.5
        boxes.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], 1) * stride)
        scores.append(score)
    return np.concatenate(boxes), np.concatenate(scores)


def expected(model, decoder, picture):
    """What the manifest below asks for, step by step."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    kind = {"tensor(float16)": np.float16, "tensor(uint8)": np.uint8}.get(session.get_inputs()[0].type, np.float32)
    resized = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    tensor = np.ascontiguousarray(resized.transpose(2, 0, 1)[None].astype(kind))
    names = [output.name for output in session.get_outputs()]
    boxes, scores = decoded(decoder, dict(zip(names, session.run(None, {"images": tensor}))))
    height, width = picture.shape[:2]
    boxes = boxes * np.array([width / WIDTH, height / HEIGHT] * 2)
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, width)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, height)
    seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (scores.max(1) >= FLOOR)
    rows = zip(boxes[seen], scores[seen])
    return [[*map(float, box), float(score.max()), int(score.argmax())] for box, score in rows]


def manifest(name, decoder, weights, more, classes):
    return f"""name = "{name}"
file = "{name}.onnx"
sha256 = "{hashlib.sha256(weights).hexdigest()}"
licence = "CC0-1.0"
source = "made by a test"
decoder = "{decoder}"
{more}
threshold = 0.5
floor = {FLOOR}
nms_iou = 1.0
view = "oblique"
classes = {{ {", ".join(f"kind-{n} = {n}" for n in range(classes))} }}
input = {{ width = {WIDTH}, height = {HEIGHT}, colour = "bgr", resize = "stretch" }}
"""


def main():
    out = pathlib.Path(sys.argv[1])
    open_sides = ("batch", 3, "height", "width")
    names = [f'"{kind}_{stride}"' for kind in ("cls", "dis") for stride in STRIDES]
    kinds = {
        "yolov8": ("yolov8", yolov8(), ""),
        "yolov8-turned": ("yolov8", yolov8(turned=True), ""),
        "yolov8-dynamic": ("yolov8", yolov8(sides=open_sides), ""),
        "yolov8-float16": ("yolov8", yolov8(number=HALF), ""),
        "yolov8-uint8": ("yolov8", yolov8(taken=BYTE), ""),
        "yolov8-uint8-dynamic": ("yolov8", yolov8(taken=BYTE, sides=open_sides), ""),
        "yolov8-int8": ("yolov8", quantised(yolov8(), out), ""),
        "yolox": ("yolox", yolox(), ""),
        "yolox-int8": ("yolox", quantised(yolox(), out), ""),
        "yolox-named": ("yolox", yolox(extra=True), 'outputs = ["output"]'),
        "fastestdet": ("fastestdet", fastestdet(), ""),
        "fastestdet-int8": ("fastestdet", quantised(fastestdet(), out), ""),
        "nanodet": ("nanodet", nanodet(), ""),
        "nanodet-together": ("nanodet", nanodet(together=True), "bins = 8"),
        # As many classes as values of distances: only the names can tell.
        "nanodet-named": ("nanodet", nanodet(classes=4 * BINS), f"outputs = [{', '.join(names)}]"),
        "nanodet-int8": ("nanodet", quantised(nanodet(), out), ""),
    }
    random, boxes = np.random.default_rng(SEED), {}
    for name, (decoder, model, more) in kinds.items():
        weights = model.SerializeToString()
        (out / f"{name}.onnx").write_bytes(weights)
        classes = 4 * BINS if name == "nanodet-named" else CLASSES
        (out / f"{name}.toml").write_text(manifest(name, decoder, weights, more, classes))
        # Coarse enough to survive being made larger.
        coarse = random.integers(0, 256, (7, 11, 3), np.uint8)
        picture = cv2.resize(coarse, (150, 110), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(out / f"{name}.png"), picture)
        boxes[name] = expected(model, decoder, picture)
    (out / "boxes.json").write_text(json.dumps(boxes))


main()
