# reads detectron2://ImageNetPretrained/MSRA/R-50.pkl, writes output/coco/step4_detection_resnet_50_fpn/model_final.pth
# Detectron2's own model (frozen norm, 2fc head) as it trains it, with stem and res2 frozen.
from ..common.data.detection import dataloader
from ..common.models.faster_rcnn_fpn import model
from ..common.optim import detection as optimizer
from ..common.schedule import coco_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
train.max_iter = 90_000
