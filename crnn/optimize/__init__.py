"""Recipes, one file per technique. Each reads the parent's artifact, leaves it unchanged and writes a new one."""
