"""Faster R-CNN with FPN on a ResNet: Detectron2's own model (frozen norm, 2fc head) as it trains it,
with stem and res2 frozen."""

from .faster_rcnn_fpn import model

model.backbone.bottom_up.freeze_at = 2
