# reads output/coco/step3_search_fpn_300m/best_architecture.json, writes output/imagenet/step4_classification_300m/model_final.pth
# Another network: model.backbone.architecture=… train.output_dir=… (projects/DetNAS/README.md).
from ..common.data.classification import dataloader
from ..common.models.classifier import model
from ..common.optim import classification as optimizer
from ..common.schedule import linear as lr_multiplier
from ..common.train import train

model.backbone._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.architecture = "output/coco/step3_search_fpn_300m/best_architecture.json"
train.max_iter = 300_000
