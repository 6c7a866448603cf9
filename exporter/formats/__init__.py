"""File formats: a registry with a row each, what runs and reads them, and what converts to them."""
