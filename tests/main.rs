//! The collector as a whole: what goes in at one end, and what is answered at the other.

mod architecture;
mod captures;
mod demo;
mod leaving;
mod support;
