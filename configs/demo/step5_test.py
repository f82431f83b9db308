# reads output/demo/step4_detection/model_final.pth and output/demo/step3_search/best_architecture.json, writes output/demo/step5_test/evaluation.json
# (train_net.py --eval-only)
from .step4_detection import dataloader, model, train

dataloader.test.dataset.names = "digits_test"
dataloader.evaluator.output_dir = "${train.output_dir}"
train.init_checkpoint = "output/demo/step4_detection/model_final.pth"
train.output_dir = "output/demo/step5_test"
