"""The data sets that are registered when ``detnas_d2.data`` is imported."""

from __future__ import annotations

from detnas_d2.data.bccd import register_bccd, register_bccd_boxes
from detnas_d2.data.coco import register_coco_splits
from detnas_d2.data.digits import register_digits
from detnas_d2.data.imagefolder import register_imagenet
from detnas_d2.data.voc import register_voc_0712_splits


def register_builtin_datasets() -> None:
    """Registers bccd*, digits*, imagenet_*, coco_2017_detnas_* and voc_0712_detnas_*.

    They lie under $DETECTRON2_DATASETS. Nothing is read before a set is loaded. Called on import;
    call it again after the variable has changed. Names that were registered otherwise meanwhile
    stay as they are.
    """
    register_bccd(is_default=True)
    register_bccd_boxes(is_default=True)
    register_digits(is_default=True)
    register_coco_splits(is_default=True)
    register_voc_0712_splits(is_default=True)
    register_imagenet(is_default=True)
