# reads detectron2://ImageNetPretrained/MSRA/R-101.pkl, writes output/coco/step4_detection_resnet_101_fpn/model_final.pth
from .step4_detection_resnet_50_fpn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
