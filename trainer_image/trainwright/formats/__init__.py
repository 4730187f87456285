"""The files stages meet in: conversations (rows.py) and packed tokens (tokens.py)."""
