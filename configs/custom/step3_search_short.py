# reads `weights` of settings.py, writes output/<name>/step3_search_short/best_architecture.json
# In the place of steps 2 and 3: each candidate is trained as step 4 trains, for a share of its iterations.
from ..common.search import short_training as _short_training
from .step3_search import model, output, search
from .step4_detection import dataloader, datasets, lr_multiplier, optimizer, train

search.fitness = _short_training
search.retrain = search.retrain[:1]  # step4_finetune goes on from the supernet
train.output_dir = f"{output}/step3_search_short"
