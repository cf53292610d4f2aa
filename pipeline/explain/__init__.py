"""One reading explained: the course of its device and its picture."""
