# reads output/voc/step4_detection_cls_fpn_300m/model_final.pth and output/imagenet/step3_search_cls_300m/best_architecture.json, writes output/voc/step5_test_cls_fpn_300m/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_cls_fpn_300m import dataloader, model, train

train.init_checkpoint = "output/voc/step4_detection_cls_fpn_300m/model_final.pth"
train.output_dir = "output/voc/step5_test_cls_fpn_300m"
