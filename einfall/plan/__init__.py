"""Choosing a schedule: what a nest costs, and which form of it to take. Pure: nothing is compiled or measured."""
