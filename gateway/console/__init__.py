"""The console: the operator's pages under /console, rendered by the server. It defines no HTTP; `server` serves it."""
