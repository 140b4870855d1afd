//! `vflow` asks a VAN-Flow collector about a Skupper network, for people in a terminal and for scripts.
//!
//! [`run`] is the whole program: what was typed goes in, output and an exit code come out. Everything it shows comes
//! through the public API of the collector. With `--input` the same API answers over a capture within this process.

mod args;
mod call;
mod client;
mod clock;
mod column;
mod directory;
mod error;
mod escape;
mod noun;
mod number;
mod output;
mod question;
mod run;
mod session;
mod table;
mod time;

pub use error::{BAD, NOT_REACHABLE, RIGHT, WRONG_USE};
pub use run::{Surroundings, run};
pub use time::Zone;
