"""Profile Gateway: accepts the profile updates of three vendors' dialects."""
