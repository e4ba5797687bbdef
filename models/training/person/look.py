"""Draws a sheet of scenes with their boxes, to be looked at: green to be found, red ignored.

    python3 look.py overhead|oblique SHEET.png [--first N] [--columns 4] [--rows 4]
"""

import argparse
import time

import cv2
import numpy

from recipes import recipe
from scene.compose import picture


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("view", choices=("overhead", "oblique"))
    parser.add_argument("sheet")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--rows", type=int, default=4)
    arguments = parser.parse_args()
    wanted = recipe(arguments.view)
    picture(wanted, wanted.seed + 1, 0)  # makes the textures
    drawn, start = [], time.process_time()
    for index in range(arguments.first, arguments.first + arguments.columns * arguments.rows):
        jpeg, boxes = picture(wanted, wanted.seed + 1, index)
        drawn.append((cv2.imdecode(jpeg, cv2.IMREAD_COLOR), boxes))
    spent = (time.process_time() - start) / len(drawn)
    for image, boxes in drawn:
        for *corners, found in boxes:
            x0, y0, x1, y1 = (int(v) for v in corners)
            cv2.rectangle(image, (x0, y0), (x1, y1), (0, 255, 0) if found else (0, 0, 255), 1)
    images = [image for image, _ in drawn]
    rows = [numpy.hstack(images[k : k + arguments.columns]) for k in range(0, len(images), arguments.columns)]
    cv2.imwrite(arguments.sheet, numpy.vstack(rows))
    print(f"{spent * 1e3:.1f} ms of CPU a scene")


if __name__ == "__main__":
    main()
