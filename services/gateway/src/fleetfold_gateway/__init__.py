"""Shows the fleet and takes commands over HTTP: an API, a live page, metrics. A client of the bus like any other."""
