//! The HTTP service and the binary honoken.
