"""Provenance: what an output folder holds, what it was made of, who signed it, and whether that is still so."""
