"""Making a part of the synthetic set: batches through the model, checks and scores beside it, one tar out."""
