"""Contracts as data: what a case says, what an answer means, and how one is told from the other.

Reads case folders and nothing else; sends no request and runs no server.
"""
