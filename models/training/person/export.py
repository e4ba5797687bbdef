"""Writes the averaged weights as ONNX: opset 16, one frame, YOLOX's raw layout.

    python3 export.py overhead|oblique OUT [--size full|pilot|tiny]     writes OUT/model.onnx from OUT/checkpoint.pt, also half-way
"""

import copy
import inspect

import torch

from network import Detector
from recipes import arguments_of, recipe
from yolox import Exported

OPSET = 16


def folded(net):
    """The same network, but the first convolution's weights take the scaling: one pass over the picture less."""
    net.stem[0].weight.data *= net.scale
    net.scale = 1
    return net


def export(net, chosen, path):
    exported = Exported(folded(copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format)))
    # Newer versions of torch trace in another way unless told not to, and know no opset below 18 then.
    old = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    torch.onnx.export(
        exported,
        torch.zeros(1, 3, chosen.height, chosen.width),
        str(path),
        opset_version=OPSET,
        input_names=["images"],
        output_names=["output"],
        **old,
    )


def main():
    arguments = arguments_of(__doc__)
    net = Detector()
    net.load_state_dict(torch.load(arguments.out / "checkpoint.pt")[1])
    export(net, recipe(arguments.view, arguments.size), arguments.out / "model.onnx")


if __name__ == "__main__":
    main()
