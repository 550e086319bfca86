"""Contract tests as a product: cases, matchers, comparison, pytest plugin, runner, record and shadow."""
