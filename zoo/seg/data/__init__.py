"""Images and masks, from disk to batches."""
