"""Puts trained weights where the daemon finds them, with manifest and model card; refuses to put worse in place of better.

    python3 card.py overhead|oblique OUT MODELS [--size full|pilot|tiny]

Everything the card says of numbers is from OUT/results.json (evaluate.py). Weights are refused that lose on any recording
to the ones in MODELS, or to the baseline among the recordings; where there are no recordings nothing is put over others.
"""

import hashlib
import json
import pathlib
import shutil
import sys

from evaluate import table
from recipes import arguments_of, recipe

LOSS = 0.005  # average precision: less than this is no difference

PROSE = {
    "overhead": {
        "what": "Finds people from straight above to about 40 degrees off: cameras on the ceiling, over a door, in a bus. The box is head and torso.",
        "feed": 'resize = "stretch"',
        "not": """- From the wall or any view in which most people are seen from the side: take `person-oblique`.
- To tell people apart, to judge age, sex or mood, or to decide anything about a single person: it was made to count.
- Where a wrong count endangers somebody (evacuation, limits by law) without a person who checks.""",
    },
    "oblique": {
        "what": "Finds people from 5 to 50 degrees above: cameras on a wall or a mast. The box is the whole body.",
        "feed": 'resize = "letterbox"\nalign = "top-left"\npad = 114',
        "not": """- From the ceiling straight down: take `person-overhead`.
- Where a large detector trained on photographs may be used and is fast enough: it finds more.
- To tell people apart, to judge age, sex or mood, or to decide anything about a single person: it was made to count.
- Where a wrong count endangers somebody (evacuation, limits by law) without a person who checks.""",
    },
}

FAILURES = """- People who touch, when less than about half of one can be seen; a pair may become one box.
- Dark clothes on a dark floor: people who hardly differ from what is behind them were neither taught nor punished.
- People who fill over a third of the frame, and people smaller than about 12 pixels at the network's input.
- Round, head-sized things at head's height, dressed mannequins, reflections in mirrors: they were in the training scenes
  as what they are, and still may be taken for people. A background gate (a box must move) takes most of that away.
- Wheelchairs, prams, children and uniforms were drawn, not photographed: no real one has been measured."""

CARD = """# Model card: {name}

{what}

| | |
|---|---|
| Files | `{name}.onnx`, {size:.2f} MB, fp32; `{name}-int8.onnx`, {size8:.2f} MB, int8 (QDQ, one scale per channel); opset 16 |
| Input | `images` 1×3×{height}×{width}, BGR, 0..=255; normalised inside the graph |
| Output | `output` 1×{cells}×6, YOLOX's raw layout, strides 8, 16, 32: centre offset, log size, score, 1 |
| Threshold | {threshold:.2f}, chosen on held-out scenes; boxes over IoU 0.5 are merged{inside} |
| Licence | MIT OR Apache-2.0 |
| Made by | `models/training`, size `{run}`: {steps:,} steps of {batch} frames; generator `{generator}` |

## Data

Drawn scenes alone (`models/training/person/scene`): no photograph, no person and no other model had a part in it.

| scenes | how many | seed | share of the frames, first and later |
|---|---|---|---|
{data}

`held` is never trained on: thresholds and int8 ranges are from there. No recording was trained on and no threshold fitted to one. What
earlier weights got wrong on them did say which kinds of scenes were missing.

## Numbers

`float` and `int8` are these weights, `baseline_…` earlier ones of ours, `shipped` those that these replaced, the others public models. A box counts as found at IoU {matches}. Frames of nobody are those known to be empty.

{table}

The loss of the whole run, step by step: `{name}-training.csv`. `make -C models/training table` measures all of this anew, and the
counts that come of it.

Time: median of one inference on one thread of a server processor, ONNX Runtime, in turns; only the ratio says something about
another machine. ARM was not measured.

## Known failures

{failures}

## Where not to use it

{not_}
"""

MANIFEST = """# {first} See {name}.md.
name = "{name}{suffix}"
file = "{name}{suffix}.onnx"
sha256 = "{sha256}"
licence = "MIT OR Apache-2.0"
source = "this repository, models/training"
decoder = "yolox"
threshold = {threshold:.2f}
floor = 0.1
nms_iou = 0.5
nms_inside = {inside:.1f}
view = "{view}"

[classes]
person = 0

[input]
width = {width}
height = {height}
colour = "bgr"
{feed}
"""


def data(chosen):
    """Lines of text: what it was trained on."""
    late = {each.name: each.share for each in chosen.late}
    for name, (count, seed) in chosen.sets.items():
        share = {"held": "–", "scenes": f"1, then {1 - sum(late.values()):.2f}"}.get(name) or f"0, then {late[name]:.2f}"
        yield f"| {name} | {count:,} | {seed} | {share} |"


def log(path):
    """Of every step the last line: what came after the last checkpoint was trained again after a stop."""
    lines = dict(line.split(",") for line in path.read_text().split())
    return "".join(f"{step},{loss}\n" for step, loss in sorted(lines.items(), key=lambda line: int(line[0])))


def refusal(results, others):
    """Why these weights may not be put in place, or None. `others`: whether there are weights already."""
    if others and not results["clips"]:
        return "there are weights already, and without recordings (FOOTFALL_DATA) nobody knows which are better"
    for clip, rows in results["clips"].items():
        for name, cells in rows.items():
            if (name == "shipped" or name.startswith("baseline")) and cells["ap"] > rows["float"]["ap"] + LOSS:
                return f"on {clip} they reach an AP of {rows['float']['ap']:.3f}, {name} {cells['ap']:.3f}"
    return None


def main():
    arguments = arguments_of(__doc__, ("models", dict(type=pathlib.Path)))
    chosen, prose = recipe(arguments.view, arguments.size), PROSE[arguments.view]
    results = json.loads((arguments.out / "results.json").read_text())
    name = chosen.name
    why = refusal(results, (arguments.models / f"{name}.onnx").exists())
    if why and arguments.size != "tiny":
        sys.exit(f"{name}: the new weights are not put in place: {why}; they stay in {arguments.out}")
    arguments.models.mkdir(parents=True, exist_ok=True)
    sizes = []
    for suffix in ("", "-int8"):
        source = arguments.out / f"model{suffix}.onnx"
        shutil.copyfile(source, arguments.models / f"{name}{suffix}.onnx")
        sizes.append(source.stat().st_size / 1e6)
        text = MANIFEST.format(
            first=prose["what"].split(":")[0].rstrip(".") + (", in int8." if suffix else "."),
            name=name,
            suffix=suffix,
            sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
            threshold=results["threshold"],
            inside=chosen.inside,
            view=chosen.view,
            width=chosen.width,
            height=chosen.height,
            feed=prose["feed"],
        )
        (arguments.models / f"{name}{suffix}.toml").write_text(text)
    card = CARD.format(
        name=name,
        what=prose["what"],
        size=sizes[0],
        size8=sizes[1],
        height=chosen.height,
        width=chosen.width,
        cells=sum((chosen.height // stride) * (chosen.width // stride) for stride in (8, 16, 32)),
        threshold=results["threshold"],
        inside=f", and those of which {chosen.inside:.0%} lie in another" if chosen.inside < 1 else "",
        run=arguments.size,
        steps=chosen.steps,
        batch=chosen.batch,
        data="\n".join(data(chosen)),
        generator=(arguments.out / "generator").read_text(),
        matches="0.5 on scenes and 0.3 on koba_bus" if chosen.overhead else "0.5",
        table="\n".join(table(results)),
        failures=FAILURES,
        not_=prose["not"],
    )
    (arguments.models / f"{name}.md").write_text(card)
    (arguments.models / f"{name}-training.csv").write_text("step,loss\n" + log(arguments.out / "log.csv"))
    print(f"{name}: in {arguments.models}")


if __name__ == "__main__":
    main()
