"""What goes out of the gateway: the history of a profile, the feed of changes and its cursors, and webhooks."""
