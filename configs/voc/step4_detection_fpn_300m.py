# reads output/imagenet/step4_classification_300m/model_final.pth and output/voc/step3_search_fpn_300m/best_architecture.json, writes output/voc/step4_detection_fpn_300m/model_final.pth
# Another network: model.backbone.bottom_up.architecture=… train.init_checkpoint=… train.output_dir=…
from ..common.data.voc import dataloader
from ..common.models.fpn import model
from ..common.optim import detection as optimizer
from ..common.schedule import voc_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "output/voc/step3_search_fpn_300m/best_architecture.json"
model.backbone.norm.momentum = 0.01
model.roi_heads.num_classes = 20
train.max_iter = 22_500
train.init_checkpoint = "output/imagenet/step4_classification_300m/model_final.pth"
