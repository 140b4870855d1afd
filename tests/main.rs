//! The whole, from outside.

mod architecture;
