# reads output/coco/step4_detection_scratch_fpn_300m/model_final.pth and output/coco/step3_search_scratch_fpn_300m/best_architecture.json, writes output/coco/step5_test_scratch_fpn_300m/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_scratch_fpn_300m import dataloader, model, train

dataloader.evaluator.output_dir = "${train.output_dir}"
train.init_checkpoint = "output/coco/step4_detection_scratch_fpn_300m/model_final.pth"
train.output_dir = "output/coco/step5_test_scratch_fpn_300m"
