"""The demo's detector: a tiny anchor-free network in YOLOX's raw output layout."""

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEIGHT = 256, 192
STRIDES = (8, 16, 32)


def conv(inputs, outputs, size=3, stride=1):
    padding = (size - stride + 1) // 2 if size % 2 == 0 else size // 2
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = conv(channels, channels)
        self.second = conv(channels, channels)

    def forward(self, x):
        return x + self.second(self.first(x))


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


class Exported(nn.Module):
    """Adds the class score that the layout wants: objectness already says everything, so it is 1."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, x):
        raw = self.detector(x)
        score = torch.sigmoid(raw[..., 4:5])
        return torch.cat([raw[..., :4], score, torch.ones_like(score)], 2)


def grid():
    """Column, row and stride of every cell, 1008 x 3."""
    cells = []
    for stride in STRIDES:
        rows, columns = torch.meshgrid(
            torch.arange(HEIGHT // stride), torch.arange(WIDTH // stride), indexing="ij"
        )
        cells.append(torch.stack([columns, rows, torch.full_like(rows, stride)], 2).reshape(-1, 3))
    return torch.cat(cells).float()


def boxes(raw, cells):
    """Raw outputs to corner boxes in pixels of the input."""
    stride = cells[:, 2:]
    centre = (raw[..., :2] + cells[:, :2]) * stride
    half = raw[..., 2:4].clamp(-4.0, 4.0).exp() * stride / 2
    return torch.cat([centre - half, centre + half], -1)
