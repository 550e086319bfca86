"""Documents of JSON:API 1.0: resources, links, cursors, filters and errors. Nothing here depends on a vendor."""
