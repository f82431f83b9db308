# reads output/coco/step4_detection_shufflenetv2_20_fpn/model_final.pth, writes output/coco/step5_test_shufflenetv2_20_fpn/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_shufflenetv2_20_fpn import dataloader, model, train

dataloader.evaluator.output_dir = "${train.output_dir}"
train.init_checkpoint = "output/coco/step4_detection_shufflenetv2_20_fpn/model_final.pth"
train.output_dir = "output/coco/step5_test_shufflenetv2_20_fpn"
