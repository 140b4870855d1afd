//! `vflow`: asks a VAN-Flow collector about a Skupper network.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use terminal_size::{Width, terminal_size};
use vflow::{Surroundings, Zone, run};

fn main() -> ExitCode {
    let surroundings = Surroundings {
        zone: Zone::Local,
        width: terminal_size().map(|(Width(columns), _)| columns.into()),
        out_is_terminal: io::stdout().is_terminal(),
        err_is_terminal: io::stderr().is_terminal(),
    };
    // A tail is written as it comes; a lock for the whole of it would only be in the way of the error.
    let (mut out, mut err) = (io::BufWriter::new(io::stdout()), io::stderr());
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::from(3);
    };
    let code = runtime.block_on(run(std::env::args_os(), &surroundings, &mut out, &mut err));
    // Nothing that is still under way is of interest to anybody.
    runtime.shutdown_background();
    ExitCode::from(code)
}
