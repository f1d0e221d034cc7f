"""What clients see: values made from rows, with declared fields."""
