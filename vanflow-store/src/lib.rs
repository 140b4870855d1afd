//! The record graph.
