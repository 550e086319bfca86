"""The relay: a subscriber that sends each change on to an account of a vendor, in the vendor's dialect."""
