"""Talking: plans, wording, checks, retrieval and the engines that write replies; knows no shop."""
