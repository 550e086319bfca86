"""The gateway's own API, under /gateway/v1: the history of profiles and the feed. Its files are those of a dialect."""
