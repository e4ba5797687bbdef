"""What our networks have in common: blocks, YOLOX's raw output layout, and who answers for whom while they learn."""

import torch
from torch import nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
CANDIDATES = 9  # cells that may answer for one person


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


class Exported(nn.Module):
    """What is shipped: the score as a probability, and a class score that is always 1, as the layout wants one."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, x):
        raw = self.detector(x)
        score = torch.sigmoid(raw[..., 4:5])
        return torch.cat([raw[..., :4], score, torch.ones_like(score)], 2)


def grid(height, width):
    """Column, row and stride of every cell: cells x 3."""
    cells = []
    for stride in STRIDES:
        rows, columns = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        cells.append(torch.stack([columns, rows, torch.full_like(rows, stride)], 2).reshape(-1, 3))
    return torch.cat(cells).float()


def boxes(raw, cells):
    """Raw outputs to corners in pixels of the input."""
    stride = cells[:, 2:]
    centre = (raw[..., :2] + cells[:, :2]) * stride
    half = raw[..., 2:4].clamp(-4.0, 4.0).exp() * stride / 2
    return torch.cat([centre - half, centre + half], -1)


def overlap(a, b):
    """IoU and GIoU of boxes that broadcast against each other."""
    low = torch.maximum(a[..., :2], b[..., :2])
    high = torch.minimum(a[..., 2:], b[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    area_a = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(-1)
    area_b = (b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1)
    union = area_a + area_b - both + 1e-6
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    hull = hull.clamp(min=0).prod(-1) + 1e-6
    iou = both / union
    return iou, iou - (hull - union) / hull


def within(centres, corners):
    """batch x people x cells: whose box a cell's centre lies in."""
    x, y = centres.unbind(1)
    left, top, right, bottom = (corners[:, :, k, None] for k in range(4))
    return (x > left) & (x < right) & (y > top) & (y < bottom)


def assign(score, predicted, truth, there, centres):
    """Task-aligned (Feng et al., "TOOD", 2021). Per cell: whether it answers for somebody, for whom, and the score it should have."""
    inside = within(centres, truth) & there[:, :, None]
    iou, _ = overlap(predicted[:, None], truth[:, :, None])
    fit = score[:, None].sqrt() * iou.pow(4) * inside
    best = torch.zeros_like(inside).scatter_(2, fit.topk(CANDIDATES, 2).indices, True) & inside & (fit > 1e-9)
    owned, owner = (iou * best - (~best).float()).max(1)
    positive = owned > 0
    chosen = F.one_hot(owner, truth.shape[1]).transpose(1, 2).bool() & positive[:, None]
    fit = fit * chosen
    quality = fit / (fit.amax(2, keepdim=True) + 1e-9) * (iou * chosen).amax(2, keepdim=True)
    return positive, owner, quality.amax(1)
