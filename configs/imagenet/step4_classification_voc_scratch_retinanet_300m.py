# reads output/voc/step3_search_scratch_retinanet_300m/best_architecture.json, writes output/imagenet/step4_classification_voc_scratch_retinanet_300m/model_final.pth
from ..common.retrain.imagenet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.architecture = (
    "output/voc/step3_search_scratch_retinanet_300m/best_architecture.json"
)
train.output_dir = "output/imagenet/step4_classification_voc_scratch_retinanet_300m"
