# reads nothing, writes output/table/step4_detection/model_final.pth
# One network of the space, from scratch; projects/DetNAS/table trains all of them.
from ..common.data.table_digits import dataloader
from ..common.models.retinanet_table import model
from ..common.optim import adamw as optimizer
from ..common.schedule import short as lr_multiplier
from ..common.train import train

model.backbone.bottom_up._target_ = "detnas_d2.modeling.StandAloneNetwork"
model.backbone.bottom_up.architecture = "0,0,0,0"
optimizer.fused = True  # a tenth of a step's time
train.device = "cpu"
train.max_iter = 3500
