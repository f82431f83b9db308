# reads output/digits/step4_detection_retinanet/model_final.pth and output/digits/step3_search_retinanet/best_architecture.json, writes output/digits/step5_test_retinanet/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_retinanet import dataloader, model, train

dataloader.test.dataset.names = "digits_test"
dataloader.evaluator.output_dir = "${train.output_dir}"
train.init_checkpoint = "output/digits/step4_detection_retinanet/model_final.pth"
train.output_dir = "output/digits/step5_test_retinanet"
