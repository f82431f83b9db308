# reads output/imagenet/step4_classification_1_3g/model_final.pth and output/coco/step3_search_fpn_1_3g/best_architecture.json, writes output/coco/step4_detection_fpn_1_3g/model_final.pth
# Another network: model.backbone.bottom_up.architecture=… train.init_checkpoint=… train.output_dir=…
from .step4_detection_fpn_300m import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.space = "1.3g"
model.backbone.bottom_up.architecture = "output/coco/step3_search_fpn_1_3g/best_architecture.json"
train.init_checkpoint = "output/imagenet/step4_classification_1_3g/model_final.pth"
