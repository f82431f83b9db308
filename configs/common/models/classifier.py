"""Classifier on a DetNAS backbone, as the authors' ImageNet networks end: a 1x1 convolution to
1024 channels, global average pooling, dropout, one linear layer."""

from detectron2.config import LazyCall as L

from detnas_d2.modeling import Classifier, Norm, Supernet

model = L(Classifier)(
    backbone=L(Supernet)(space="300m", norm="${..norm}", out_features=["res5"]),
    norm=L(Norm)(name="BN", momentum=0.1),
    num_classes=1000,
    last_channels=1024,
    dropout=0.2,
    label_smoothing=0.1,
)
