"""Trainwright trains conversational text-to-text models from one YAML file."""

__version__ = "0.1.0"
