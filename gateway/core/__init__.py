"""The pure core: what a command means. No I/O, clock, randomness, environment or vendor name."""
