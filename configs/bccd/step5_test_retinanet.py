# reads output/bccd/step4_detection_retinanet/model_final.pth and output/bccd/step3_search_retinanet/best_architecture.json, writes output/bccd/step5_test_retinanet/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_retinanet import dataloader, model, train

dataloader.test.dataset.names = "bccd_voc_test"
train.init_checkpoint = "output/bccd/step4_detection_retinanet/model_final.pth"
train.output_dir = "output/bccd/step5_test_retinanet"
