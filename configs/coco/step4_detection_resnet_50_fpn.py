# reads detectron2://ImageNetPretrained/MSRA/R-50.pkl, writes output/coco/step4_detection_resnet_50_fpn/model_final.pth
from ..common.data.detection import dataloader
from ..common.models.resnet_fpn import model
from ..common.optim import detection as optimizer
from ..common.schedule import coco_1x as lr_multiplier
from ..common.train import train

train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
train.output_dir = "output/coco/step4_detection_resnet_50_fpn"
train.max_iter = 90_000
