"""What runs beside the requests of a process."""
