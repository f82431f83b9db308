# reads output/<name>/step4_detection/model_final.pth and output/<name>/step3_search/best_architecture.json, writes output/<name>/step5_test/evaluation.json
# (train_net.py --eval-only)
from .step4_detection import dataloader, datasets, model, output, train

dataloader.test.dataset.names = datasets.test.name
dataloader.evaluator.output_dir = "${train.output_dir}"
train.init_checkpoint = f"{output}/step4_detection/model_final.pth"
train.output_dir = f"{output}/step5_test"
