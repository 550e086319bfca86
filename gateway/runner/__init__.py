"""Carries out cases: against a gateway made for each of them, or a server at some URL; from the command line or pytest.

What a case is and what an answer means is the room `contract`'s.
"""
