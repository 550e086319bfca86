"""The law of consent, for `tests/test_law_of_consent.py`: a model, the calls of every dialect, and random sequences."""
