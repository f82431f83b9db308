# reads output/imagenet/step4_classification_coco_scratch_retinanet_300m/model_final.pth and output/coco/step3_search_scratch_retinanet_300m/best_architecture.json, writes output/coco/step4_detection_scratch_retinanet_300m/model_final.pth
# DetNAS-S: found without ImageNet, retrained with it as the networks of all other rows.
from ..common.retrain.coco_retinanet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.architecture = (
    "output/coco/step3_search_scratch_retinanet_300m/best_architecture.json"
)
train.init_checkpoint = (
    "output/imagenet/step4_classification_coco_scratch_retinanet_300m/model_final.pth"
)
train.output_dir = "output/coco/step4_detection_scratch_retinanet_300m"
