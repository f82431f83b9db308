"""The data sets that configs name: where they lie, and how they are got or made."""

from __future__ import annotations

from pathlib import Path

from detectron2.data import DatasetCatalog
from detectron2.data.datasets.pascal_voc import CLASS_NAMES

from detnas_d2.data.atomic import MARKER
from detnas_d2.data.catalog import SEARCH_PARTS, datasets_root
from detnas_d2.data.coco import register_coco
from detnas_d2.data.crops import write_box_crops
from detnas_d2.data.imagefolder import register_image_folder
from detnas_d2.data.voc import register_voc_folder

BCCD_CLASSES = ("RBC", "WBC", "Platelets")
_SPLITS = ("train", "val", "test")
_FOR = {
    "demo": "for configs/demo, configs/own_space",
    "digits": "more images, for configs/digits",
    "table": "for configs/table",
}


def register_builtin_datasets() -> None:
    """Registers bccd*, digits*, table_digits*, imagenet_*, coco_2017_detnas_*, voc_0712_detnas_*.

    They lie under $DETECTRON2_DATASETS. Nothing is read before a set is loaded. Called on import;
    call it again after the variable has changed. Names that were registered otherwise meanwhile
    stay as they are.
    """
    root = datasets_root()
    _register_bccd(bccd_root())
    _register_bccd_boxes(root / "bccd_boxes")
    _register_digits("digits", root / "digits", ["demo", "digits"])
    _register_digits("table_digits", root / "table_digits", ["table"])
    _register_imagenet(root / "imagenet")
    _register_coco_parts(root / "coco")
    _register_voc_parts(root)


def bccd_root() -> Path:
    """$DETECTRON2_DATASETS/bccd; where that is not there, ../shared/data/bccd beside the
    repository, if that is."""
    root = datasets_root() / "bccd"
    shared = Path(__file__).resolve().parents[3] / "shared" / "data" / "bccd"
    return shared if shared.is_dir() and not root.is_dir() else root


def _register_bccd(root: Path) -> None:
    """364 real microscope images of blood cells: bccd_{train,val,test} and bccd_voc_{...}.

    VOC's metric is that of 2012: with 2007's 11 points, the one box of val that has no area (and
    that the evaluator counts, reading the files itself) would take the last point from everyone.
    """
    contents = (
        "the public BCCD data set (MIT licence, github.com/Shenggan/BCCD_Dataset) with "
        "Annotations/, ImageSets/Main/, JPEGImages/ and, as COCO JSON, "
        "annotations/instances_{train,val,test}.json"
    )
    builtin = {root: contents}
    for split in _SPLITS:
        file, name = root / "annotations" / f"instances_{split}.json", f"bccd_voc_{split}"
        images = root / "JPEGImages"
        register_coco(f"bccd_{split}", file, images, class_names=BCCD_CLASSES, builtin=builtin)
        register_voc_folder(name, root, split, BCCD_CLASSES, 2012, builtin=builtin)


def write_bccd_boxes() -> Path:
    """Cuts BCCD's own boxes out as a classification set (:func:`write_box_crops`)."""
    splits = {split: DatasetCatalog.get(f"bccd_{split}") for split in _SPLITS}
    return write_box_crops(datasets_root() / "bccd_boxes", splits, list(BCCD_CLASSES))


def _register_bccd_boxes(root: Path) -> None:
    """bccd_boxes_{train,val,test}: RBC, WBC, Platelets and background, 64 x 64."""
    make = "python -c 'from detnas_d2.data import write_bccd_boxes; write_bccd_boxes()'"
    builtin = {root / MARKER: f"BCCD's boxes cut out as images; make them with: {make}"}
    for split in _SPLITS:
        register_image_folder(f"bccd_boxes_{split}", root, split, builtin=builtin)


def _register_digits(prefix: str, root: Path, sets: list[str]) -> None:
    """PREFIX_{train,val,test} and PREFIX_cls_{train,val} of `write_digits`; which digits are its
    classes is known once a set is loaded."""
    made = [f"\n    python -m detnas_d2.data.make_digits {name}    ({_FOR[name]})" for name in sets]
    builtin = {root / MARKER: f"a set of digits; make it with{''.join(made)}"}
    for split in _SPLITS:
        file = root / "annotations" / f"instances_{split}.json"
        register_coco(f"{prefix}_{split}", file, root / "JPEGImages", builtin=builtin)
    for split in _SPLITS[:2]:
        register_image_folder(f"{prefix}_cls_{split}", root / "cls", split, builtin=builtin)


def _register_imagenet(root: Path) -> None:
    """imagenet_{train,val} and imagenet_detnas_{supernet,search}, parts of train.

    The search for a classification network (ClsNASNet, DetNAS table 4) scores candidates on
    images that the supernet was not trained on and that are no test images: one in 25 of each
    class, about 51,000 of 1.28 million. Which these are is a function of the file names.
    """
    for split in ("train", "val"):
        register_image_folder(f"imagenet_{split}", root, split, builtin={})
    for part, held_out in (("supernet", False), ("search", True)):
        name = f"imagenet_detnas_{part}"
        register_image_folder(name, root, "train", held_out=held_out, builtin={})


def _register_coco_parts(root: Path) -> None:
    """coco_2017_detnas_supernet and coco_2017_detnas_search, parts of train2017.

    COCO's 2017 lists are those of the paper: train2017 (118,287 images) is its trainval35k, train
    and val of 2014 without minival, and val2017 (5,000 images) is its minival, the test set. The
    search is scored on images that the supernet was not trained on and that are no test images.
    """
    images, annotations = root / "train2017", root / "annotations"
    contents = (
        "COCO's train2017 images (train2017.zip of cocodataset.org), and in "
        f"{annotations} its annotations (annotations_trainval2017.zip)"
    )
    command = (
        f"python -m detnas_d2.data.splits {annotations / 'instances_train2017.json'} "
        f"--search-images 5000 --seed 0 --out {annotations}"
    )
    for part in SEARCH_PARTS:
        file = annotations / f"instances_{part}.json"
        made = f"the {part} part of COCO's train2017; make it with: {command}"
        builtin = {images: contents, file: made}
        register_coco(f"coco_2017_detnas_{part}", file, images, builtin=builtin)


def _register_voc_parts(root: Path) -> None:
    """voc_0712_detnas_supernet and voc_0712_detnas_search, parts of trainval 07 + 12.

    The evaluator wants one folder and one year a data set: the command in the message of a
    missing folder mixes both years in one, and the metric is that of 2007, the one of the test
    set voc_2007_test, by which the paper's figures are.
    """
    mixed = root / "VOC0712"
    contents = (
        "trainval of VOC 2007 and 2012 in one folder; put VOC2007 and VOC2012 (of VOCtrainval_"
        "06-Nov-2007.tar and VOCtrainval_11-May-2012.tar, host.robots.ox.ac.uk/pascal/VOC) into "
        f"{root}, and make it with: python -m detnas_d2.data.voc_splits {root / 'VOC2007'} "
        f"{root / 'VOC2012'} --search-images 5000 --seed 0 --out {mixed}"
    )
    for part in SEARCH_PARTS:
        ids = mixed / "ImageSets" / "Main" / f"{part}.txt"
        builtin = {mixed: contents, ids: contents}
        name = f"voc_0712_detnas_{part}"
        register_voc_folder(name, mixed, part, CLASS_NAMES, 2007, builtin=builtin)
