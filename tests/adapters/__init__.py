"""Adapters: the chat link and the media."""
