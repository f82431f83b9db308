# reads output/voc/step4_detection_scratch_fpn_300m/model_final.pth and output/voc/step3_search_scratch_fpn_300m/best_architecture.json, writes output/voc/step5_test_scratch_fpn_300m/evaluation.json
# (train_net.py --eval-only)
from .step4_detection_scratch_fpn_300m import dataloader, model, train

train.init_checkpoint = "output/voc/step4_detection_scratch_fpn_300m/model_final.pth"
train.output_dir = "output/voc/step5_test_scratch_fpn_300m"
