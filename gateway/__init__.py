"""Profile Gateway: one door for the profile updates of three vendors' dialects."""
