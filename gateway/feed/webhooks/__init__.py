"""Webhooks: the events of the feed, sent to the URL of a subscriber (https://www.standardwebhooks.com)."""
