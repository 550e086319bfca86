"""How a request is carried out: the pipeline and its operations, catalog, rate limits and fair queue."""
