"""Trains one detector on its rendered scenes and exports it; goes on where it stopped.

    python3 train.py overhead|oblique OUT [--size full|pilot|tiny] [--threads 1] [--until STEP]

Writes OUT/checkpoint.pt every few minutes, OUT/log.csv, and at the end OUT/model.onnx.
"""

import copy
import math
import os
import time

import torch

from batches import batch
from export import export
from loss import loss_of
from network import Detector
from progress import Progress
from recipes import arguments_of, recipe
from scenes import Scenes
from yolox import grid

RATE = 2.5e-3
WARMUP = 300  # steps
DECAY = 0.02
AVERAGE = 0.9990
KEEP_EVERY = 120  # seconds between checkpoints


def rate(step, steps):
    return RATE * min(1, (step + 1) / min(WARMUP, steps / 4)) * (0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)


class Run:
    """Everything that a checkpoint holds."""

    def __init__(self, seed):
        torch.manual_seed(seed)
        self.net = Detector().to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval()
        decay = [p for p in self.net.parameters() if p.dim() > 1]
        plain = [p for p in self.net.parameters() if p.dim() <= 1]
        self.optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}])
        self.step = 0

    def save(self, path):
        parts = [part.state_dict() for part in (self.net, self.average, self.optimiser)]
        torch.save((*parts, self.step), path.with_suffix(".partial"))
        os.replace(path.with_suffix(".partial"), path)

    def load(self, path):
        *parts, self.step = torch.load(path)
        for part, state in zip((self.net, self.average, self.optimiser), parts):
            part.load_state_dict(state)

    def learn(self, frames, people, cells, step_rate):
        for group in self.optimiser.param_groups:
            group["lr"] = step_rate
        self.net.train()
        with torch.autocast("cpu", torch.bfloat16):
            raw = self.net(frames.contiguous(memory_format=torch.channels_last))
        loss = loss_of(raw, people, cells)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self.optimiser.step()
        self.step += 1
        keep = min(AVERAGE, self.step / (self.step + 50))
        with torch.no_grad():
            for mine, theirs in zip(self.average.state_dict().values(), self.net.state_dict().values()):
                if mine.dtype.is_floating_point:
                    mine.lerp_(theirs, 1 - keep)
                else:
                    mine.copy_(theirs)
        return loss.item()


def main():
    arguments = arguments_of(
        __doc__,
        ("--threads", dict(type=int, default=1, help="more than one is faster, and no two runs are quite the same")),
        ("--until", dict(type=int, help="stop after this step; the next run goes on from there")),
    )
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    chosen = recipe(arguments.view, arguments.size)
    sets = {kind: Scenes(arguments.out, chosen, kind) for kind in chosen.sets if kind != "held"}
    steps = chosen.steps
    cells = grid(chosen.height, chosen.width)
    run, checkpoint = Run(chosen.seed), arguments.out / "checkpoint.pt"
    if checkpoint.exists():
        run.load(checkpoint)
    say, kept, total, count = Progress(f"{chosen.name}: training", steps, run.step), time.monotonic(), 0.0, 0
    end = min(steps, arguments.until or steps)
    while run.step < end:
        frames, people = batch(chosen, sets, run.step)
        total += run.learn(frames, people, cells, rate(run.step, steps))
        count += 1
        say(run.step, f"loss {total / count:.3f}")
        if run.step % max(steps // 100, 1) == 0:
            with open(arguments.out / "log.csv", "a") as log:
                log.write(f"{run.step},{total / count:.4f}\n")
            total, count = 0.0, 0
        if time.monotonic() - kept > KEEP_EVERY or run.step == end:
            run.save(checkpoint)
            kept = time.monotonic()
    if run.step == steps:
        export(run.average, chosen, arguments.out / "model.onnx")


if __name__ == "__main__":
    main()
