# reads output/imagenet/step4_classification_300m/model_final.pth and output/coco/step3_search_retinanet_300m/best_architecture.json, writes output/coco/step4_detection_retinanet_300m/model_final.pth
# Another network: model.backbone.bottom_up.architecture=… train.init_checkpoint=… train.output_dir=…
from ..common.data.detection import dataloader
from ..common.models.retinanet import model
from ..common.optim import retinanet as optimizer
from ..common.schedule import coco_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = (
    "output/coco/step3_search_retinanet_300m/best_architecture.json"
)
model.backbone.bottom_up.norm.momentum = 0.01
train.max_iter = 90_000
train.init_checkpoint = "output/imagenet/step4_classification_300m/model_final.pth"
