# reads output/imagenet/step4_classification_coco_retinanet_3_8g/model_final.pth and output/coco/step3_search_retinanet_3_8g/best_architecture.json, writes output/coco/step4_detection_retinanet_3_8g/model_final.pth
from ..common.retrain.coco_retinanet import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.space = "3.8g"
model.backbone.bottom_up.architecture = (
    "output/coco/step3_search_retinanet_3_8g/best_architecture.json"
)
train.init_checkpoint = "output/imagenet/step4_classification_coco_retinanet_3_8g/model_final.pth"
train.output_dir = "output/coco/step4_detection_retinanet_3_8g"
