"""What the gateway costs beside a bare server, measured: `make bench`. Nothing here is imported by the gateway."""
