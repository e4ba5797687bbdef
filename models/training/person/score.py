"""Average precision, recall and false alarms of boxes against truth with regions that are not judged."""

import numpy

from detect import overlap


class Score:
    """Collects frames; `match` is the IoU that counts as found."""

    def __init__(self, match):
        self.match, self.marks, self.people, self.frames, self.empty = match, [], 0, 0, []

    def add(self, found, truth, ignored=()):
        """`found` n x 5 best first, `truth` m x 4, `ignored` k x 4; `truth` None: counts for false alarms only."""
        if truth is None:
            self.empty.append(max((box[4] for box in found), default=0.0))
            return
        truth, ignored = (numpy.array(boxes, float).reshape(-1, 4) for boxes in (truth, ignored))
        self.frames += 1
        self.people += len(truth)
        if not len(truth) and not len(ignored):
            self.empty.append(max((box[4] for box in found), default=0.0))
        taken = numpy.zeros(len(truth), bool)
        for box in found:
            iou = overlap(box, truth) * ~taken
            if len(iou) and iou.max() >= self.match:
                taken[iou.argmax()] = True
                self.marks.append((box[4], True))
            elif not lies_within(box, ignored):
                self.marks.append((box[4], False))

    def average_precision(self):
        """Area under the precision envelope, every point (as PASCAL VOC 2010)."""
        marks = sorted(self.marks, key=lambda mark: -mark[0])
        if not marks or not self.people:
            return 0.0
        hits = numpy.cumsum([hit for _, hit in marks])
        recall, precision = hits / self.people, hits / numpy.arange(1, len(marks) + 1)
        envelope = numpy.maximum.accumulate(precision[::-1])[::-1]
        return float(numpy.sum(numpy.diff(recall, prepend=0) * envelope))

    def at(self, threshold):
        """Recall and precision of everything scored at least `threshold`."""
        hits = sum(hit for score, hit in self.marks if score >= threshold)
        claims = sum(score >= threshold for score, _ in self.marks)
        return hits / max(self.people, 1), hits / max(claims, 1)

    def false_alarms(self, threshold):
        """Share of the frames without anybody in which somebody is found."""
        return sum(score >= threshold for score in self.empty) / max(len(self.empty), 1)

    def best_threshold(self):
        """Where the harmonic mean of recall and precision is highest, of 0.20, 0.22 ... 0.70."""
        def harmony(threshold):
            recall, precision = self.at(threshold)
            return 2 * recall * precision / max(recall + precision, 1e-9)

        return max((round(0.2 + 0.02 * k, 2) for k in range(26)), key=harmony)


def lies_within(box, regions):
    """Half of the box or more in one region."""
    if not len(regions):
        return False
    low, high = numpy.maximum(box[:2], regions[:, :2]), numpy.minimum(box[2:4], regions[:, 2:4])
    return bool((high - low).clip(0).prod(1).max() >= 0.5 * (box[2:4] - box[:2]).prod())
