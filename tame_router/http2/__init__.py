"""A server of gRPC over HTTP/2 in the event loop's own thread: bytes in, calls of servicers out."""
