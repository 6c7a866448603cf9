"""sweep.html: the points of a sweep on one page that needs no network, no script and no other file."""
