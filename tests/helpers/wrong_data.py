"""Broken annotations and images, and wrong arguments of the commands that are no training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from digits_voc import write_voc
from wrong_inputs import Prepare, Wrong, both, edit, edit_json, write

TRAIN, VAL = (f"datasets/digits/annotations/instances_{part}.json" for part in ("train", "val"))
FIRST = "datasets/digits/Annotations/train_00000.xml"
SET = "datasets/digits/ImageSets/Main/train.txt"
IMAGE = "datasets/digits/JPEGImages/train_00000.png"
NEW = "train.output_dir=output/new"
STEP2, STEP3 = f"train_net.py @step2 {NEW}", f"search_net.py @step3 {NEW}"
TEST = f"train_net.py @step4 --eval-only {NEW} train.init_checkpoint=output/step4/model_final.pth"
VOC = f"train_net.py --config-file configs/tiny/voc.py {NEW}"
VOC_CONFIG = """from detectron2.config import LazyCall as L
from detnas_d2.data import register_voc_folder
from .step2 import dataloader, lr_multiplier, model, optimizer, path_sampler, train
datasets = dict(train=L(register_voc_folder)(
    name="wrong_voc", dirname="datasets/digits", split="train", class_names=["zero", "one"]))
dataloader.train.dataset.names = "wrong_voc"
"""
LIST = "have new ones written without these: python -m detnas_d2.data.check"
IN_COCO = ("instances_train.json can't be used as it is", LIST)
YACS = "projects/DetNAS/train_net.py --config-file projects/DetNAS/configs/supernet_fpn_300m.yaml"
CONVERT = "projects.DetNAS.paper.convert_weights {} o.pth --config-file configs/tiny/step4.py"


def in_json(file: str, change: Callable[[Any], Any]) -> Prepare:
    """Changes the content in place."""
    return edit_json(file, lambda content: change(content) and None)


def remove(path: str) -> Prepare:
    return lambda folder: (folder / path).unlink()


def in_voc(prepare: Prepare) -> Prepare:
    def write_set(folder: Path) -> None:
        write_voc(folder / "datasets/digits")

    return both(write_set, write("configs/tiny/voc.py", VOC_CONFIG), prepare)


def coco(name: str, says: tuple[str, ...], prepare: Prepare) -> Wrong:
    return Wrong(f"COCO: {name}", STEP2, (*IN_COCO, *says), prepare, begun=True)


def voc(name: str, says: tuple[str, ...], prepare: Prepare) -> Wrong:
    return Wrong(f"VOC: {name}", VOC, says, in_voc(prepare), begun=True)


def read(name: str, command: str, says: tuple[str, ...], prepare: Prepare) -> Wrong:
    return Wrong(f"images: {name}", command, says, prepare, begun=True)


ANNOTATIONS = [
    coco("no JSON", ("it is no JSON", "line 1 column 1"), write(TRAIN, "hello")),
    coco(
        "unknown class",
        (
            "annotations[0] (id 1): image_id is",
            "category_id is 99",
            "that the file does not define",
        ),
        in_json(TRAIN, lambda c: c["annotations"][0].update(category_id=99)),
    ),
    coco(
        "image without width",
        ("no width and height",),
        in_json(TRAIN, lambda c: c["images"][0].pop("width")),
    ),
    Wrong(
        "COCO: nothing to learn",
        STEP2,
        ("dataloader.train has no image with a box", "digits_train", "Add annotations"),
        in_json(TRAIN, lambda c: [x.update(bbox=[0, 0, 0, 0]) for x in c["annotations"]]),
        begun=True,
    ),
    Wrong(
        "COCO: other classes",
        STEP2,
        ("num_classes is 2, but data set 'digits_train' has 3 classes (zero, one, two)", "set "),
        in_json(TRAIN, lambda c: c["categories"].append({"id": 3, "name": "two"})),
        begun=True,
    ),
    voc("cut", ("train_00000.xml", "no element found", "Mend"), edit(FIRST, lambda b: b[:200])),
    voc(
        "unknown class",
        ("train_00000.xml", "class 'zerro'", "are zero, one"),
        edit(FIRST, lambda b: b.replace(b"zero", b"zerro")),
    ),
    voc("empty set", ("train.txt names no image", "one a line"), write(SET, "")),
    voc("set of bytes", ("train.txt (not a text file)", "one a line"), write(SET, b"\xff\xfe\x00")),
    voc("id twice", ("train.txt names 'a'; expected", "each image once"), write(SET, "a\na\n")),
    voc("two columns", ("train.txt names 'a 1'; expected", "without blanks"), write(SET, "a 1\n")),
    voc("no image", ("missing images", "train_00000 in", "JPEGImages"), remove(IMAGE)),
    Wrong(
        "VOC: no set",
        VOC,
        ("ImageSets/Main/train.txt", "There has to lie"),
        in_voc(remove(SET)),
    ),
]
IMAGES = [
    read("missing", STEP2, ("missing images: 1 in digits_train", "train_00000.png"), remove(IMAGE)),
    read(
        "truncated",
        STEP2,
        ("train_00000.png could not be read", "truncated", "Repair it"),
        edit(IMAGE, lambda b: b[: len(b) // 2]),
    ),
    read(
        "other size",
        STEP2,
        ("got (64, 64), expect (60, 64)", "Repair it and its annotations"),
        in_json(TRAIN, lambda c: [x.update(width=60) for x in c["images"]]),
    ),
    read(
        "a web page, searched on",
        STEP3,
        ("val_00000.png could not be read", "Repair it"),
        write(IMAGE.replace("train", "val"), "<html>"),
    ),
    read(
        "cut file, searched on",
        STEP3,
        ("instances_val.json can't be used as it is", LIST),
        edit(VAL, lambda b: b[:300]),
    ),
    read(
        "other size, tested",
        TEST,
        ("val_00000.png could not be read", "expect (60, 64)"),
        in_json(VAL, lambda c: [x.update(width=60) for x in c["images"]]),
    ),
]
COMMANDS = [
    Wrong(
        "splits: too many",
        f"detnas_d2.data.splits {TRAIN} --search-images 5000 --out d",
        ("search_images is 5000", "of 8 images, 1 to 7"),
    ),
    Wrong(
        "splits: into a file",
        f"detnas_d2.data.splits {TRAIN} --search-images 2 --out {VAL}",
        (VAL, "Check that path"),
    ),
    Wrong(
        "voc_splits: no folder",
        "detnas_d2.data.voc_splits nowhere --out d",
        ("nowhere/ImageSets/Main/trainval.txt (No such file", "one a line"),
    ),
    Wrong("check: no file", "detnas_d2.data.check nowhere", ("nowhere is not there",)),
    Wrong("space: unknown", "detnas_d2.space 300n 2,1", ("no space '300n'", "Did you mean '300m'")),
    Wrong("space: architecture", "detnas_d2.space 300m 2,1", ("got 2 choices, expected 20",)),
    Wrong(
        "space: no config", "detnas_d2.space configs/no.py 2,1", ("no config file 'configs/no.py'",)
    ),
    Wrong(
        "space: input",
        "detnas_d2.space 300m 2,1 --input-size x",
        ("--input-size", "invalid int value: 'x'"),
    ),
    Wrong(
        "latency: no GPU",
        "detnas_d2.evaluation.latency 300m --device cuda --output l.json",
        ("sees no GPU", "--device cpu"),
    ),
    Wrong(
        "latency: below a file",
        f"detnas_d2.evaluation.latency 300m --output {VAL}/l.json",
        (VAL, "Check that path"),
    ),
    Wrong("convert: no file", CONVERT.format("no.pth"), ("'no.pth' could not be read",)),
    Wrong(
        "convert: ours",
        CONVERT.format("output/step2/model_final.pth"),
        ("not the weights of a released DetNAS network", "expected first_conv"),
    ),
    Wrong(
        "convert: no config",
        "projects.DetNAS.paper.convert_weights a.pth o.pth --config-file configs/tiny/stp4.py",
        ("'configs/tiny/stp4.py' does not exist", "configs/tiny/step4.py"),
    ),
    Wrong("run_steps: unknown", "tools/run_steps.py digitz", ("'digitz'", "'bccd'")),
    Wrong("run_steps: which", "tools/run_steps.py bccd", ("bccd needs --detector fpn or",)),
    Wrong(
        "retrain: no config",
        "projects/DetNAS/retrain.py configs/tiny/stpe3.py configs/tiny/step4.py",
        ("stpe3.py' does not exist", "step3.py"),
    ),
    Wrong(
        "yacs: no config",
        "projects/DetNAS/train_net.py --config-file no.yaml",
        ("'no.yaml'", "Expected a YAML file, as in projects/DetNAS/configs"),
    ),
    Wrong("yacs: key", f"{YACS} SOLVER.MAX_ITR 3", ("SOLVER.MAX_ITR", "pairs of KEY VALUE")),
    Wrong("yacs: type", f"{YACS} SOLVER.MAX_ITER x", ("SOLVER.MAX_ITER", "pairs of KEY VALUE")),
    Wrong("yacs: odd", f"{YACS} SOLVER.MAX_ITER", ("SOLVER.MAX_ITER", "pairs of KEY VALUE")),
    Wrong(
        "yacs: Python",
        "projects/DetNAS/train_net.py --config-file configs/tiny/step2.py",
        ("'configs/tiny/step2.py'", "Expected a YAML file"),
    ),
]
CASES = [*ANNOTATIONS, *IMAGES, *COMMANDS]
