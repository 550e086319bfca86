"""Stands between a client and a server: passes everything through, and records it or holds it against another server.

What passes is never changed and never waits for what is done with it here.
"""
