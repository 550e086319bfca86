"""A cluster that fails over for real: `python -m tests.cluster` (`make test-cluster`), never part of the test suite."""
