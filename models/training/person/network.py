"""The detector: a small anchor-free network in YOLOX's raw output layout, about 0.6 million weights.

Dense 3x3 convolutions with ReLU throughout: depthwise ones have fewer multiplications and take longer on a CPU,
and ReLU folds into the convolution when the network is quantised.
"""

import torch
from torch import nn
from torch.nn import functional as F

from yolox import STRIDES, Residual, conv

STEM, STAGES, NECK = 32, (48, 64, 96), 48


def stage(inputs, outputs, blocks):
    return nn.Sequential(conv(inputs, outputs, 3, 2), *(Residual(outputs) for _ in range(blocks)))


class Detector(nn.Module):
    """Input: batch x 3 x height x width, BGR 0..255, both sides multiples of 32.

    Output: batch x cells x 5: offset of the centre and log of the size in cells, logit of the score. Cells are those
    of stride 8, then 16, then 32, row by row.
    """

    def __init__(self):
        super().__init__()
        self.scale = 1 / 64  # of grey levels, before the stem; see export.folded
        self.stem = conv(3, STEM, 6, 4)
        self.down8 = stage(STEM, STAGES[0], 1)
        self.down16 = stage(STAGES[0], STAGES[1], 2)
        self.down32 = stage(STAGES[1], STAGES[2], 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.lateral8 = conv(STAGES[0], NECK, 1)
        self.lateral16 = conv(STAGES[1], NECK, 1)
        self.lateral32 = conv(2 * STAGES[2], NECK, 1)
        self.smooth16 = conv(NECK, NECK)
        self.up16 = conv(NECK, NECK, 3, 2)
        self.up32 = conv(NECK, NECK, 3, 2)
        self.heads = nn.ModuleList(conv(NECK, NECK) for _ in STRIDES)
        self.outputs = nn.ModuleList(nn.Conv2d(NECK, 5, 1) for _ in STRIDES)
        for output in self.outputs:
            nn.init.normal_(output.weight, std=0.01)
            # Centre of the cell, about three cells wide and high, a score of about 0.02.
            output.bias.data = torch.tensor([0.5, 0.5, 1.0, 1.2, -4.0])

    def forward(self, x):
        x = x - 114.0
        x = self.stem(x if self.scale == 1 else x * self.scale)
        c8 = self.down8(x)
        c16 = self.down16(c8)
        c32 = self.down32(c16)
        # Down from coarse to fine for context, then up again for exact edges of large people.
        p32 = self.lateral32(torch.cat([c32, self.pool(c32)], 1))
        p16 = self.smooth16(self.lateral16(c16) + F.interpolate(p32, scale_factor=2.0, mode="nearest"))
        # Not smoothed: at this size one more convolution costs a tenth of the whole network's time.
        p8 = self.lateral8(c8) + F.interpolate(p16, scale_factor=2.0, mode="nearest")
        p16 = p16 + self.up16(p8)
        p32 = p32 + self.up32(p16)
        levels = [output(head(p)) for head, output, p in zip(self.heads, self.outputs, (p8, p16, p32))]
        return torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)
