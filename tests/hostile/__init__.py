"""Hostile requests, and the server under test."""
