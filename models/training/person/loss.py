"""What the network is taught: where people are and how sure it may be.

Task-aligned assignment (Feng et al., "TOOD", 2021): of each person's cells the nine with the best score^0.5 * IoU^4 answer
for them. The score is taught the box's quality (Zhang et al., "VarifocalNet", 2021), so that loose boxes score low.
Cells within people to be ignored are taught nothing unless they answer for somebody.
"""

import torch
from torch.nn import functional as F

from network import boxes

CANDIDATES = 9
PLACE = 2.0  # weight of the box against the score


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
    """Per cell: whether it answers for somebody, for whom, and the score it should have."""
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


def loss_of(raw, people, cells):
    """`raw`: the network's output; `people`: batch x n x 5 of batches.py; `cells`: of network.grid."""
    raw = raw.float()
    predicted = boxes(raw, cells)
    score = raw[..., 4].sigmoid()
    centres = (cells[:, :2] + 0.5) * cells[:, 2:]
    truth, kind = people[..., :4], people[..., 4]
    with torch.no_grad():
        positive, owner, quality = assign(score, predicted, truth, kind == 1, centres)
        ignored = (within(centres, truth) & (kind == 0)[:, :, None]).any(1) & ~positive
        weight = torch.where(positive, torch.ones_like(score), 0.75 * score.square()) * ~ignored
    scored = F.binary_cross_entropy_with_logits(raw[..., 4], quality, weight, reduction="sum")
    target = truth.gather(1, owner[..., None].expand(-1, -1, 4))
    _, giou = overlap(predicted, target)
    placed = ((1 - giou) * quality * positive).sum()
    return (scored + PLACE * placed) / quality.sum().clamp(min=1)
