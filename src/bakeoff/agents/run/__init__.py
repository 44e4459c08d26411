"""One item, once: the flow through the steps, the calls, the guards and the spans."""
