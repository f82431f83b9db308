"""Detectron2's own Faster R-CNN with FPN: its Mask R-CNN without masks."""

from detectron2 import model_zoo

model = model_zoo.get_config("common/models/mask_rcnn_fpn.py").model
for key in ("mask_in_features", "mask_pooler", "mask_head"):
    model.roi_heads.pop(key)
