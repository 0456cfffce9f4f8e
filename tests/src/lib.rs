//! Integration tests that speak through actors: an integrator, a phone, an operator.
