# reads output/own_space/step4_detection_mobilenet/model_final.pth and output/own_space/step3_search_mobilenet/best_architecture.json, writes output/own_space/step5_test_mobilenet/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_mobilenet import dataloader, model, train

dataloader.test.dataset.names = "digits_test"
dataloader.evaluator.output_dir = "${train.output_dir}"
train.init_checkpoint = "output/own_space/step4_detection_mobilenet/model_final.pth"
train.output_dir = "output/own_space/step5_test_mobilenet"
