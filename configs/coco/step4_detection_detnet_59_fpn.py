# reads output/imagenet/step4_classification_detnet_59/model_final.pth, writes output/coco/step4_detection_detnet_59_fpn/model_final.pth
from ..common.data.detection import dataloader
from ..common.models.detnet_fpn import model
from ..common.optim import detection as optimizer
from ..common.schedule import coco_1x as lr_multiplier
from ..common.train import train

train.init_checkpoint = "output/imagenet/step4_classification_detnet_59/model_final.pth"
train.output_dir = "output/coco/step4_detection_detnet_59_fpn"
train.max_iter = 90_000
