# reads output/imagenet/step4_classification_cls_300m/model_final.pth and output/imagenet/step3_search_cls_300m/best_architecture.json, writes output/coco/step4_detection_cls_retinanet_300m/model_final.pth
from ..common.retrain.coco_retinanet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.architecture = (
    "output/imagenet/step3_search_cls_300m/best_architecture.json"
)
train.init_checkpoint = "output/imagenet/step4_classification_cls_300m/model_final.pth"
train.output_dir = "output/coco/step4_detection_cls_retinanet_300m"
