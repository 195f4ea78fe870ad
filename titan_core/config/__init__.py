"""Typed configuration: what may be set (`schema`), what was set and by whom (`load`), and the caps that follow from it (`effective`)."""
