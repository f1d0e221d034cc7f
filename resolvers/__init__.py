"""The verbs: root fields, thin, and the machinery they share."""
