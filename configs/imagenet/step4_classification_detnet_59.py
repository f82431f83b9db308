# reads nothing, writes output/imagenet/step4_classification_detnet_59/model_final.pth
# With the settings of all other classifiers here, their last 1x1 convolution too.
from detectron2.config import LazyCall as L

from projects.DetNAS.paper.detnet import DetNet

from .step4_classification_300m import dataloader, lr_multiplier, model, optimizer, train

model.backbone = L(DetNet)(norm="${..norm}", out_features=["res6"])
model.in_feature = "res6"
