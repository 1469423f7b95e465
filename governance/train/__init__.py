"""an approved dataset, a base model -> a LoRA adapter; nothing else opens data for training."""
