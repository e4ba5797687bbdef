"""Says how far a long step is and when it will be done: a line that is rewritten on a terminal, else one a minute."""

import sys
import time


class Progress:
    def __init__(self, what, total, done=0):
        self.what, self.total, self.first = what, total, done
        self.start, self.said = time.monotonic(), 0.0

    def __call__(self, done, note=""):
        now, last = time.monotonic(), done >= self.total
        terminal = sys.stderr.isatty()
        if now - self.said < (0.2 if terminal else 60) and not last:
            return
        self.said = now
        spent = now - self.start
        left = spent / max(done - self.first, 1) * (self.total - done)
        text = f"{self.what}: {done}/{self.total} ({done / self.total:.0%}), {clock(left)} left {note}"
        print(f"\r{text:<78}" if terminal else text, end="\n" if last or not terminal else "", file=sys.stderr, flush=True)


def clock(seconds):
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
