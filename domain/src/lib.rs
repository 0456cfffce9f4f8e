//! Aggregates, commands and events: what a pass service decides, without I/O.
