"""What `make bench` prints: every stage of the library, beside named references, in one run."""
