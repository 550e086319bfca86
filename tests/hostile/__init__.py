"""What an attacker sends, and a door to send it to."""
