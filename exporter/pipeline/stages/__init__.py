"""What each stage reads and does, a module for each step that the terminal prints."""
