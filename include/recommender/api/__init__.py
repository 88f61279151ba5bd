"""The online API: lists over HTTP from the version that a channel points to."""
