"""What a network learned and where it fails: from networks and arrays to arrays, and from arrays to figures."""
