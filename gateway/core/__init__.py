"""The pure core: what an update means. No I/O, no clock, no random, no environment."""
