# reads output/digits/step3_search_retinanet/best_architecture.json, writes output/digits/step4_classification_retinanet/model_final.pth
from .step4_classification import dataloader, lr_multiplier, model, optimizer, train

model.backbone.architecture = "output/digits/step3_search_retinanet/best_architecture.json"
train.output_dir = "output/digits/step4_classification_retinanet"
