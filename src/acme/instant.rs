//! The seam to instant-acme.
