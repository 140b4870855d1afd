//! From what was typed to an exit code.

use std::{ffi::OsString, io::Write};

use clap::{CommandFactory, Parser};

use crate::{
    args::{Cli, Command, Form, Output, Sql, When, join_not},
    call::{self, Call},
    client::Client,
    error::{Error, RIGHT, WRONG_USE},
    escape::visible,
    noun,
    output::How,
    table::Look,
    time::Zone,
};

/// What the program runs in.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// By which clock times are typed and shown, unless `--utc` is given.
    pub zone: Zone,
    /// Columns of the terminal, where there is one.
    pub width: Option<usize>,
    /// Whether output is shown in a terminal.
    pub out_is_terminal: bool,
    /// Whether messages are.
    pub err_is_terminal: bool,
}

/// Does what was typed, the name of the program first: output goes to `out`, and what has to be said beside it to `err`.
/// Answers the exit code.
pub async fn run(
    args: impl IntoIterator<Item = OsString>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let cli = match Cli::try_parse_from(join_not(args)) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, surroundings, out, err),
    };
    match answer(cli, surroundings, out, err).await {
        Ok(code) => code,
        // Whoever was to read this has read enough.
        Err(error) if error.is_broken_pipe() => RIGHT,
        Err(error) => {
            // Where nobody reads this either, the exit code has to do.
            let _ = writeln!(err, "error: {}", visible(&error.to_string()));
            error.exit_code()
        }
    }
}

/// Help, the version, or what is wrong with what was typed.
fn refuse(error: &clap::Error, surroundings: &Surroundings, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let (to, is_terminal): (&mut dyn Write, _) = if error.use_stderr() {
        (err, surroundings.err_is_terminal)
    } else {
        (out, surroundings.out_is_terminal)
    };
    let text = error.render();
    let _ = if is_terminal { write!(to, "{}", text.ansi()) } else { write!(to, "{text}") };
    let _ = to.flush();
    if error.use_stderr() { WRONG_USE } else { RIGHT }
}

async fn answer(
    cli: Cli,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8, Error> {
    match &cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "vflow", &mut script);
            out.write_all(&script)?;
            out.flush()?;
            return Ok(RIGHT);
        }
        Command::Man { directory } => {
            clap_mangen::generate_to(Cli::command(), directory).map_err(|error| Error::File {
                verb: "write",
                path: directory.clone(),
                reason: error.to_string(),
            })?;
            return Ok(RIGHT);
        }
        Command::Login => return call::login(&cli.connection, err).await,
        Command::Logout => return call::logout(&cli.connection, err).await,
        Command::Record(record) => return call::record(record, &cli.connection, err).await,
        Command::Sql(sql) if sql.history_clickhouse.is_none() || sql.with.is_some() => {
            return call::sql(sql, out, err);
        }
        Command::Verify(verify) => return call::verify(verify, cli.output.output, out),
        _ => {}
    }
    let zone = if cli.output.utc { Zone::Utc } else { surroundings.zone };
    let mut connection = cli.connection;
    let mut database = String::new();
    if let Command::Sql(Sql { history_clickhouse: Some(url), .. }) = &cli.command {
        let named = call::NamedClickHouse::parse(url)?;
        (connection.server, database) = (named.server, named.database);
        connection.user = connection.user.or(named.user);
    }
    let client = Client::new(&connection, |text| {
        // Whoever does not read messages is owed the answer all the same.
        let _ = writeln!(err, "warning: {}", visible(text));
    })?;
    let how = how(cli.output, surroundings);
    let mut call = Call { client, how, zone, surroundings: *surroundings, out, err };
    match cli.command {
        Command::Sites(list) => call::list(&mut call, &noun::SITES, &list).await,
        Command::Routers(list) => call::list(&mut call, &noun::ROUTERS, &list).await,
        Command::Links(list) => call::list(&mut call, &noun::LINKS, &list).await,
        Command::Services(list) => call::list(&mut call, &noun::SERVICES, &list).await,
        Command::Components(list) => call::list(&mut call, &noun::COMPONENTS, &list).await,
        Command::Processes(list) => call::list(&mut call, &noun::PROCESSES, &list).await,
        Command::Listeners(list) => call::list(&mut call, &noun::LISTENERS, &list).await,
        Command::Connectors(list) => call::list(&mut call, &noun::CONNECTORS, &list).await,
        Command::Observe(observe) => call::observe(&mut call, &observe).await,
        Command::Status => call::status(&mut call).await,
        Command::Top(top) => call::top(&mut call, &top).await,
        Command::Path(path) => call::path(&mut call, &path).await,
        Command::Map(map) => call::map(&mut call, &map).await,
        Command::Export(export) => call::export(&mut call, &export).await,
        Command::Query(query) => call::query(&mut call, &query).await,
        Command::Sql(sql) => call::sql_answer(&mut call, &sql.statement, &database).await,
        Command::Completions { .. }
        | Command::Man { .. }
        | Command::Login
        | Command::Logout
        | Command::Record(_)
        | Command::Verify(_) => Ok(RIGHT),
    }
}

fn how(output: Output, surroundings: &Surroundings) -> How {
    let color = match output.color {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            surroundings.out_is_terminal
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    };
    // All columns are of use to whoever asks for them, however narrow the terminal.
    let width =
        surroundings.width.filter(|_| surroundings.out_is_terminal && output.output != Some(Form::Wide));
    How {
        form: output.output.unwrap_or(Form::Table),
        is_chosen: output.output.is_some(),
        columns: output.columns,
        look: Look { width, color, headers: !output.no_headers },
    }
}
