"""Recipes, one file a technique: parent in, new artifact out, the parent untouched."""
