"""Makes the int8 weights from the float ones: static, QDQ, one scale per output channel.

    python3 quantise.py overhead|oblique OUT [--size full|pilot|tiny]     writes OUT/model-int8.onnx

Held-out scenes show which values occur. The last convolutions stay in float: offsets, sizes and scores share a tensor
there, and one scale for all of them would be too coarse for the offsets.
"""

import logging
import pathlib
import tempfile

import cv2
import numpy
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from progress import Progress
from recipes import arguments_of, recipe
from scenes import Scenes

IMAGES = 100


class Pictures(CalibrationDataReader):
    def __init__(self, scenes, name):
        self.say, self.done = Progress(f"{name}: int8", IMAGES), 0
        self.left = iter(scenes.jpegs[:IMAGES])

    def get_next(self):
        jpeg = next(self.left, None)
        if jpeg is None:
            return None
        self.done += 1
        self.say(self.done)
        image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        return {"images": image.transpose(2, 0, 1)[None].astype(numpy.float32)}


def quantise(source, target, pictures):
    with tempfile.TemporaryDirectory() as folder:
        prepared = pathlib.Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared))
        model = onnx.load(prepared)
        spared = [node.name for node in model.graph.node if node.op_type not in ("Conv", "MaxPool", "Resize", "Add", "Concat")]
        spared += last(model.graph)
        quantize_static(
            str(prepared),
            str(target),
            pictures,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MaxPool", "Resize", "Add", "Concat"],
            nodes_to_exclude=spared,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    # Preparation leaves imports of operator sets behind that the daemon's ONNX Runtime need not know.
    model = onnx.load(target)
    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def last(graph):
    """Names of everything behind the last convolution of each head, that convolution included."""
    maker = {output: node for node in graph.node for output in node.output}
    names, open_ = [], [output.name for output in graph.output]
    while open_:
        node = maker.get(open_.pop())
        if node is not None and node.name not in names:
            names.append(node.name)
            if node.op_type != "Conv":
                open_ += node.input
    return names


def main():
    arguments = arguments_of(__doc__)
    logging.disable(logging.WARNING)  # advice for other kinds of network
    chosen = recipe(arguments.view, arguments.size)
    pictures = Pictures(Scenes(arguments.out, chosen, "held"), chosen.name)
    quantise(arguments.out / "model.onnx", arguments.out / "model-int8.onnx", pictures)


if __name__ == "__main__":
    main()
