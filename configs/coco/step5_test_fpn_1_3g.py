# reads output/coco/step4_detection_fpn_1_3g/model_final.pth and output/coco/step3_search_fpn_1_3g/best_architecture.json, writes output/coco/step5_test_fpn_1_3g/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_fpn_1_3g import dataloader, model, train

dataloader.evaluator.output_dir = "${train.output_dir}"
train.init_checkpoint = "output/coco/step4_detection_fpn_1_3g/model_final.pth"
train.output_dir = "output/coco/step5_test_fpn_1_3g"
