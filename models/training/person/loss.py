"""What the network is taught: where people are and how sure it may be.

Task-aligned assignment (Feng et al., "TOOD", 2021): of each person's cells the nine with the best score^0.5 * IoU^4 answer
for them. The score is taught the box's quality (Zhang et al., "VarifocalNet", 2021), so that loose boxes score low.
Cells within people to be ignored are taught nothing unless they answer for somebody.
"""

import torch
from torch.nn import functional as F

from yolox import assign, boxes, overlap, within

PLACE = 2.0  # weight of the box against the score


def loss_of(raw, people, cells):
    """`raw`: the network's output; `people`: batch x n x 5 of batches.py; `cells`: of yolox.grid."""
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
