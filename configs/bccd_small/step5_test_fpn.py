# reads output/bccd_small/step4_detection_fpn/model_final.pth and output/bccd_small/step3_search_fpn/best_architecture.json, writes output/bccd_small/step5_test_fpn/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_fpn import dataloader, model, train

dataloader.test.dataset.names = "bccd_test"
dataloader.evaluator.output_dir = "${train.output_dir}"
train.init_checkpoint = "output/bccd_small/step4_detection_fpn/model_final.pth"
train.output_dir = "output/bccd_small/step5_test_fpn"
