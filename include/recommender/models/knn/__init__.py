"""Item-kNN: the similarities of items that the same users interacted with."""
