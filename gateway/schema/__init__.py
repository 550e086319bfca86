"""JSON Schema of a database: field declarations, coercion of text, validation."""
