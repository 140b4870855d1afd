//! How an example ends.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

/// Says in a line what went wrong. Where nobody reads what is printed any more, as after `| head`, nothing has.
pub fn shown(outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let is_unread = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<io::Error>().is_some_and(is_unread) {
        return ExitCode::SUCCESS;
    }
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::FAILURE
}
