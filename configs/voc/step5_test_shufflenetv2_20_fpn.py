# reads output/voc/step4_detection_shufflenetv2_20_fpn/model_final.pth, writes output/voc/step5_test_shufflenetv2_20_fpn/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_shufflenetv2_20_fpn import dataloader, model, train

train.init_checkpoint = "output/voc/step4_detection_shufflenetv2_20_fpn/model_final.pth"
train.output_dir = "output/voc/step5_test_shufflenetv2_20_fpn"
