"""The demo's detector: a tiny anchor-free network in YOLOX's raw output layout."""

import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional as F

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "person"))
from yolox import STRIDES, Residual, conv

WIDTH, HEIGHT = 256, 192


class Detector(nn.Module):
    """Input: batch x 3 x 192 x 256, RGB 0..255. Output: batch x 1008 x 6 logits and offsets (see `export`)."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 24, 6, 4)
        self.down8 = nn.Sequential(conv(24, 32, 3, 2), Residual(32))
        self.down16 = nn.Sequential(conv(32, 48, 3, 2), Residual(48))
        self.down32 = nn.Sequential(conv(48, 64, 3, 2), Residual(64))
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.lateral8 = conv(32, 32, 1)
        self.lateral16 = conv(48, 32, 1)
        self.lateral32 = conv(128, 32, 1)
        self.smooth8 = conv(32, 32)
        self.smooth16 = conv(32, 32)
        self.head = conv(32, 32)
        self.outputs = nn.ModuleList(nn.Conv2d(32, 5, 1) for _ in STRIDES)
        for output in self.outputs:
            nn.init.normal_(output.weight, std=0.01)
            # Offset, log size in cells (people are about twice as high as wide), objectness of about 0.02.
            output.bias.data = torch.tensor([0.5, 0.5, 1.0, 1.7, -4.0])

    def forward(self, x):
        x = self.stem((x - 114.0) * (1.0 / 64.0))
        c8 = self.down8(x)
        c16 = self.down16(c8)
        c32 = self.down32(c16)
        p32 = self.lateral32(torch.cat([c32, self.pool(c32)], 1))
        p16 = self.smooth16(self.lateral16(c16) + F.interpolate(p32, scale_factor=2.0, mode="nearest"))
        p8 = self.smooth8(self.lateral8(c8) + F.interpolate(p16, scale_factor=2.0, mode="nearest"))
        levels = [output(self.head(p)) for output, p in zip(self.outputs, (p8, p16, p32))]
        return torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)
