"""Trains the demo's detector on frames of synthetic shops and writes it as ONNX. See README.md.

    python3 train.py FRAMES OUTPUT.onnx [--epochs N] [--minutes M]
"""

import argparse
import copy
import csv
import math
import pathlib
import random
import time

import numpy
import torch
from PIL import Image
from torch.nn import functional as F

from network import HEIGHT, WIDTH, Detector
from yolox import Exported, assign, boxes, grid, overlap, within

SEED = 20
BATCH = 16
LEARNING_RATE = 2.5e-3
# A person of whom less than this can be seen is neither right nor wrong.
VISIBLE = 0.3
PEOPLE = 12


def load(directory):
    """All frames at the input's size, and their boxes: frames x PEOPLE x (4 corners, visible share)."""
    labels = {}
    for name, *numbers in csv.reader(open(directory / "labels.csv")):
        labels.setdefault(name, []).append([float(number) for number in numbers])
    names = (directory / "frames.csv").read_text().split()
    frames = torch.empty(len(names), 3, HEIGHT, WIDTH, dtype=torch.uint8)
    people = torch.zeros(len(names), PEOPLE, 5)
    for index, name in enumerate(names):
        pixels = torch.from_numpy(numpy.array(Image.open(directory / name))).permute(2, 0, 1)[None].float()
        _, _, height, width = pixels.shape
        # The daemon's own resize: bilinear, half-pixel centres, no antialiasing.
        small = F.interpolate(pixels, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
        frames[index] = small[0].round().to(torch.uint8)
        scale = torch.tensor([WIDTH / width, HEIGHT / height] * 2 + [1.0])
        found = torch.tensor(labels.get(name, []))[:PEOPLE]
        if len(found):
            people[index, : len(found)] = found * scale
    return frames, people


def augment(frames, people):
    frames, people = frames.float(), people.clone()
    flip = torch.rand(len(frames)) < 0.5
    frames[flip] = frames[flip].flip(3)
    x0, x1 = people[flip, :, 0].clone(), people[flip, :, 2].clone()
    there = people[flip, :, 4] > 0
    people[flip, :, 0] = torch.where(there, WIDTH - x1, x0)
    people[flip, :, 2] = torch.where(there, WIDTH - x0, x1)
    gain = 1 + (torch.rand(len(frames), 1, 1, 1) - 0.5) * 0.5
    tint = 1 + (torch.rand(len(frames), 3, 1, 1) - 0.5) * 0.16
    noise = torch.randn(frames.shape) * (torch.rand(len(frames), 1, 1, 1) * 5)
    frames = ((frames - 128) * gain * tint + 128 + (torch.rand(len(frames), 1, 1, 1) - 0.5) * 40 + noise)
    return frames.clamp(0, 255), people


def loss_of(raw, people, cells):
    raw = raw.float()
    predicted = boxes(raw, cells)
    score = raw[..., 4].sigmoid()
    centres = (cells[:, :2] + 0.5) * cells[:, 2:]
    truth, visible = people[..., :4], people[..., 4]
    with torch.no_grad():
        positive, owner, quality = assign(score, predicted, truth, visible >= VISIBLE, centres)
        faint = ((visible > 0) & (visible < VISIBLE))[:, :, None]
        ignored = (within(centres, truth) & faint).any(1) & ~positive
        weight = (~ignored).float()
    scored = F.binary_cross_entropy_with_logits(raw[..., 4], quality, weight, reduction="sum")
    target = truth.gather(1, owner[..., None].expand(-1, -1, 4))
    _, giou = overlap(predicted, target)
    placed = ((1 - giou) * quality * positive).sum()
    return (scored + 2 * placed) / quality.sum().clamp(min=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("frames", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    random.seed(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    frames, people = load(arguments.frames)
    print(f"{len(frames)} frames, {int((people[..., 4] >= VISIBLE).sum())} people", flush=True)
    net = Detector().to(memory_format=torch.channels_last)
    print(f"{sum(p.numel() for p in net.parameters())} parameters")
    average = copy.deepcopy(net).eval()
    decay, plain = [], []
    for parameter in net.parameters():
        (decay if parameter.dim() > 1 else plain).append(parameter)
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}])
    cells = grid(HEIGHT, WIDTH)
    batches = len(frames) // BATCH
    total, step, start = arguments.epochs * batches, 0, time.time()
    for epoch in range(arguments.epochs):
        net.train()
        running = 0.0
        for chosen in torch.randperm(len(frames))[: batches * BATCH].split(BATCH):
            rate = LEARNING_RATE * min(1, step / 200) * (0.02 + 0.98 * (1 + math.cos(math.pi * step / total)) / 2)
            for group in optimiser.param_groups:
                group["lr"] = rate
            batch, truth = augment(frames[chosen], people[chosen])
            with torch.autocast("cpu", torch.bfloat16):
                raw = net(batch.contiguous(memory_format=torch.channels_last))
            loss = loss_of(raw, truth, cells)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
            optimiser.step()
            step += 1
            running += loss.item()
            keep = min(0.998, step / (step + 50))
            with torch.no_grad():
                for mine, theirs in zip(average.state_dict().values(), net.state_dict().values()):
                    if mine.dtype.is_floating_point:
                        mine.mul_(keep).add_(theirs, alpha=1 - keep)
                    else:
                        mine.copy_(theirs)
        print(f"epoch {epoch + 1}: loss {running / batches:.3f}, {time.time() - start:.0f} s", flush=True)
        export(average, arguments.output)


def export(net, path):
    exported = Exported(copy.deepcopy(net).eval().to(memory_format=torch.contiguous_format))
    torch.onnx.export(
        exported,
        torch.zeros(1, 3, HEIGHT, WIDTH),
        path,
        opset_version=16,
        input_names=["images"],
        output_names=["output"],
    )


if __name__ == "__main__":
    main()
