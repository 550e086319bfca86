"""HTTP: the application, its endpoints, the HTTP/1.1 protocol and its limits, workers, access log and metrics."""
