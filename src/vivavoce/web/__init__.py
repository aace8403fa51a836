"""The dashboard: pages for people, rendered here and readable without JavaScript."""
