"""Faster R-CNN with FPN on a DetNAS backbone: Detectron2's own model with a
4conv1fc box head and norm throughout. One norm serves backbone, FPN and box head."""

from detectron2.config import LazyCall as L
from detectron2.layers import ShapeSpec
from detectron2.modeling.roi_heads import FastRCNNConvFCHead

from detnas_d2.modeling import Norm, Supernet

from .faster_rcnn_fpn import model

model.backbone.norm = L(Norm)(name="SyncBN", momentum=0.1)
model.backbone.bottom_up = L(Supernet)(
    space="300m", norm="${..norm}", out_features=["res2", "res3", "res4", "res5"]
)
model.proposal_generator.head.in_channels = "${...backbone.out_channels}"
model.roi_heads.box_head = L(FastRCNNConvFCHead)(
    input_shape=L(ShapeSpec)(channels="${....backbone.out_channels}", height=7, width=7),
    conv_dims=[256, 256, 256, 256],
    fc_dims=[1024],
    conv_norm="${...backbone.norm}",
)
model.roi_heads.box_predictor.input_shape = L(ShapeSpec)(channels="${...box_head.fc_dims[0]}")
# pixels as they are: BGR, 0 to 255, no mean
model.pixel_mean = [0.0, 0.0, 0.0]
model.pixel_std = [1.0, 1.0, 1.0]
