# reads output/<name>/step4_finetune/model_final.pth and output/<name>/step3_search/best_architecture.json, writes output/<name>/step5_test_finetune/evaluation.json
# (train_net.py --eval-only)
from .step5_test import dataloader, datasets, model, output, train

train.init_checkpoint = f"{output}/step4_finetune/model_final.pth"
train.output_dir = f"{output}/step5_test_finetune"
