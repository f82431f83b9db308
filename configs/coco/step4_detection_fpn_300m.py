# reads output/imagenet/step4_classification_300m/model_final.pth and output/coco/step3_search_fpn_300m/best_architecture.json, writes output/coco/step4_detection_fpn_300m/model_final.pth
# Another network: model.backbone.bottom_up.architecture=… train.init_checkpoint=… train.output_dir=…
from ..common.data.detection import dataloader
from ..common.models.fpn import model
from ..common.optim import detection as optimizer
from ..common.schedule import coco_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "output/coco/step3_search_fpn_300m/best_architecture.json"
model.backbone.norm.momentum = 0.01
train.max_iter = 90_000
train.init_checkpoint = "output/imagenet/step4_classification_300m/model_final.pth"
