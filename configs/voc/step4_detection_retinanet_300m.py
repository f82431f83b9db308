# reads output/imagenet/step4_classification_300m/model_final.pth and output/voc/step3_search_retinanet_300m/best_architecture.json, writes output/voc/step4_detection_retinanet_300m/model_final.pth
# Another network: model.backbone.bottom_up.architecture=… train.init_checkpoint=… train.output_dir=…
from ..common.data.voc import dataloader
from ..common.models.retinanet import model
from ..common.optim import retinanet as optimizer
from ..common.schedule import voc_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = (
    "output/voc/step3_search_retinanet_300m/best_architecture.json"
)
model.backbone.bottom_up.norm.momentum = 0.01
model.num_classes = 20
train.max_iter = 22_500
train.init_checkpoint = "output/imagenet/step4_classification_300m/model_final.pth"
