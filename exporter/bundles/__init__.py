"""Turns a verified artifact and its golden vectors into what an app team adds to an app."""
