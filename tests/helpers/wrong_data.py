"""Broken annotations and images, and wrong arguments of the commands that are no training."""

from __future__ import annotations

from pathlib import Path

from wrong_inputs import Prepare, Wrong, at, begun, both, edit, edit_json, write

from projects.DetNAS.paper.voc_form import write_voc

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
CONFIG = "projects/DetNAS/configs/supernet_fpn_300m.yaml"
yacs = at(f"projects/DetNAS/train_net.py --config-file {CONFIG}")
CONVERT = "projects.DetNAS.paper.convert_weights {} o.pth --config-file configs/tiny/step4.py"


def remove(path: str) -> Prepare:
    return lambda folder: (folder / path).unlink()


def in_voc(prepare: Prepare) -> Prepare:
    def write_set(folder: Path) -> None:
        write_voc(folder / "datasets/digits")

    return both(write_set, write("configs/tiny/voc.py", VOC_CONFIG), prepare)


def coco(says: str, prepare: Prepare) -> Wrong:
    return begun(STEP2, f"instances_train.json can't be used as it is … {LIST} … {says}", prepare)


def voc(says: str, prepare: Prepare) -> Wrong:
    return begun(VOC, says, in_voc(prepare))


ANNOTATIONS = [
    coco("it is no JSON … line 1 column 1", write(TRAIN, "hello")),
    coco(
        "annotations[0] (id 1): image_id is … category_id is 99 … that the file does not define",
        edit_json(TRAIN, lambda c: c["annotations"][0].update(category_id=99)),
    ),
    coco("no width and height", edit_json(TRAIN, lambda c: c["images"][0].pop("width"))),
    begun(
        STEP2,
        "dataloader.train has no image with a box … digits_train … Add annotations",
        edit_json(TRAIN, lambda c: [x.update(bbox=[0, 0, 0, 0]) for x in c["annotations"]]),
    ),
    begun(
        STEP2,
        "num_classes is 2, but data set 'digits_train' has 3 classes (zero, one, two) … set",
        edit_json(TRAIN, lambda c: c["categories"].append({"id": 3, "name": "two"})),
    ),
    voc("train_00000.xml … no element found … Mend", edit(FIRST, lambda b: b[:200])),
    voc(
        "train_00000.xml … class 'zerro' … are zero, one",
        edit(FIRST, lambda b: b.replace(b"zero", b"zerro")),
    ),
    voc("train.txt names no image … one a line", write(SET, "")),
    voc("train.txt (not a text file) … one a line", write(SET, b"\xff\xfe\x00")),
    voc("train.txt names 'a'; expected … each image once", write(SET, "a\na\n")),
    voc("train.txt names 'a 1'; expected … without blanks", write(SET, "a 1\n")),
    voc("train_00000 is missing in … JPEGImages", remove(IMAGE)),
    Wrong(VOC, "ImageSets/Main/train.txt … There has to lie", in_voc(remove(SET))),
]
IMAGES = [
    begun(STEP2, "are missing … 1 in digits_train … train_00000.png is missing", remove(IMAGE)),
    begun(
        STEP2,
        "train_00000.png could not be read … truncated … Repair it",
        edit(IMAGE, lambda b: b[: len(b) // 2]),
    ),
    begun(
        STEP2,
        "got (64, 64), expect (60, 64) … Repair it and its annotations",
        edit_json(TRAIN, lambda c: [x.update(width=60) for x in c["images"]]),
    ),
    begun(
        STEP3,
        "val_00000.png could not be read … Repair it",
        write(IMAGE.replace("train", "val"), "<html>"),
    ),
    begun(
        STEP3, f"instances_val.json can't be used as it is … {LIST}", edit(VAL, lambda b: b[:300])
    ),
    begun(
        TEST,
        "val_00000.png could not be read … expect (60, 64)",
        edit_json(VAL, lambda c: [x.update(width=60) for x in c["images"]]),
    ),
]
COMMANDS = [
    Wrong(
        f"detnas_d2.data.splits {TRAIN} --search-images 5000 --out d",
        "search_images is 5000 … of 8 images, 1 to 7",
    ),
    Wrong(
        f"detnas_d2.data.splits {TRAIN} --search-images 2 --out {VAL}", f"{VAL} … Check that path"
    ),
    Wrong(
        "detnas_d2.data.voc_splits nowhere --out d",
        "nowhere/ImageSets/Main/trainval.txt (No such file … one a line",
    ),
    Wrong("detnas_d2.data.check nowhere", "nowhere is not there"),
    Wrong("detnas_d2.space 300n 2,1", "no space '300n' … Did you mean '300m'"),
    Wrong("detnas_d2.space 300m 2,1", "got 2 choices, expected 20"),
    Wrong("detnas_d2.space configs/no.py 2,1", "no config file 'configs/no.py'"),
    Wrong("detnas_d2.space 300m 2,1 --input-size x", "--input-size … invalid int value: 'x'"),
    Wrong(
        "detnas_d2.evaluation.latency 300m --device cuda --output l.json",
        "sees no GPU … --device=cpu",
    ),
    Wrong("detnas_d2.evaluation.latency 300m --rounds 0", "--rounds: '0' is no whole number"),
    Wrong(f"detnas_d2.evaluation.latency 300m --output {VAL}/l.json", f"{VAL} … Check that path"),
    Wrong(CONVERT.format("no.pth"), "'no.pth' could not be read"),
    Wrong(
        CONVERT.format("output/step2/model_final.pth"),
        "not the weights of a released DetNAS network … expected first_conv",
    ),
    Wrong(
        "projects.DetNAS.paper.convert_weights a.pth o.pth --config-file configs/tiny/stp4.py",
        "'configs/tiny/stp4.py' does not exist … configs/tiny/step4.py",
    ),
    Wrong("tools/run_steps.py digitz", "'digitz' … 'bccd'"),
    Wrong("tools/run_steps.py bccd", "bccd needs --detector fpn or"),
    Wrong(
        "projects/DetNAS/retrain.py configs/tiny/stpe3.py configs/tiny/step4.py",
        "stpe3.py' does not exist … step3.py",
    ),
    yacs("SOLVER.MAX_ITR 3", "SOLVER.MAX_ITR … pairs of KEY VALUE"),
    yacs("SOLVER.MAX_ITER", "SOLVER.MAX_ITER … pairs of KEY VALUE"),
    Wrong(
        "projects/DetNAS/train_net.py --config-file configs/tiny/step2.py",
        "'configs/tiny/step2.py' … Expected a YAML file",
    ),
]
CASES = [*ANNOTATIONS, *IMAGES, *COMMANDS]
