"""MODEL_CARD.md: the model card that goes with the files, with front matter for the Hugging Face Hub."""
