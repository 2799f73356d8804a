"""What a run reads and writes: the store and its keys, images, tars and their tables, splits, the index, and pools."""
