"""Tables and sentences for papers."""
