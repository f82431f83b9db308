# reads output/imagenet/step4_classification_detnet_59/model_final.pth, writes output/coco/step4_detection_detnet_59_fpn/model_final.pth
# Detectron2's own detector (frozen norm, 2fc head), with DetNet's pyramid: p4, p5 and p6 at stride 16.
from detectron2.config import LazyCall as L

from projects.DetNAS.paper.detnet import DetNet, DetNetFPN, PyramidROIPooler

from ..common.data.detection import dataloader
from ..common.models.faster_rcnn_fpn import model
from ..common.optim import detection as optimizer
from ..common.schedule import coco_1x as lr_multiplier
from ..common.train import train

model.backbone = L(DetNetFPN)(
    bottom_up=L(DetNet)(norm="FrozenBN"),
    in_features=["res2", "res3", "res4", "res5", "res6"],
    out_channels=256,
)
model.proposal_generator.anchor_generator.strides = [4, 8, 16, 16, 16]
model.roi_heads.box_pooler._target_ = PyramidROIPooler
model.roi_heads.box_pooler.scales = (1 / 4, 1 / 8, 1 / 16, 1 / 16)
# pixels as step 4's classification takes them
model.pixel_mean = [0.0, 0.0, 0.0]
train.init_checkpoint = "output/imagenet/step4_classification_detnet_59/model_final.pth"
train.max_iter = 90_000
