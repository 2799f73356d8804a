"""Making a part of the synthetic set: batches through the model, checks, encoding and scoring beside it, one tar out."""
