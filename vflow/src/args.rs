//! What was typed, as clap reads it.

mod filters;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::NonEmptyStringValueParser};

pub(crate) use self::filters::{Filters, join_not};

/// Asks a VAN-Flow collector about a Skupper network.
///
/// Exit codes: 0 the answer is there, and right; 1 the verdict is bad; 2 wrong use; 3 no answer.
#[derive(Debug, Parser)]
#[command(
    name = "vflow",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Times: 2026-11-26T03:14:00Z, 2026-11-26, `yesterday 03:14`, 03:14, or before now as in -1h or 10m."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const WHO: &str = "Who is asked";
const HOW: &str = "Output";

/// Who is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// The URL of the collector
    #[arg(long, global = true, env = "VFLOW_SERVER", default_value = "http://127.0.0.1:8010", value_name = "URL", help_heading = WHO)]
    pub(crate) server: String,
    /// Who asks, NAME:PASSWORD, or NAME with --password-file
    #[arg(long, global = true, env = "VFLOW_USER", hide_env_values = true, conflicts_with = "token_file", value_name = "USER", help_heading = WHO)]
    pub(crate) user: Option<String>,
    /// A file with the password of --user
    #[arg(long, global = true, env = "VFLOW_PASSWORD_FILE", value_name = "FILE", help_heading = WHO)]
    pub(crate) password_file: Option<PathBuf>,
    /// A file with the token to show
    #[arg(long, global = true, env = "VFLOW_TOKEN_FILE", value_name = "FILE", help_heading = WHO)]
    pub(crate) token_file: Option<PathBuf>,
    /// A PEM file with the certificate authorities to trust, in place of those of this machine
    #[arg(long, global = true, env = "VFLOW_CA", value_name = "FILE", help_heading = WHO)]
    pub(crate) ca: Option<PathBuf>,
    /// The directory where sessions of `vflow login` are kept; that of the user where it is not given
    #[arg(long, global = true, env = "VFLOW_STATE", value_name = "DIR", help_heading = WHO)]
    pub(crate) state: Option<PathBuf>,
    /// Reads a capture, as `vflow record` or `vanflow-collector --capture` write it, and asks nobody
    #[arg(long, global = true, value_name = "FILE", help_heading = WHO)]
    pub(crate) input: Option<PathBuf>,
}

/// How answers are shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    /// The form of the answer
    #[arg(short, long, global = true, value_enum, value_name = "FORM", help_heading = HOW)]
    pub(crate) output: Option<Form>,
    /// The columns to show: of a table by their names, of any other form the properties
    #[arg(long, global = true, value_delimiter = ',', value_name = "A,B", help_heading = HOW)]
    pub(crate) columns: Vec<String>,
    /// Leaves the line with the names of columns out
    #[arg(long, global = true, help_heading = HOW)]
    pub(crate) no_headers: bool,
    /// Whether to colour
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN", help_heading = HOW)]
    pub(crate) color: When,
    /// Reads and shows times in UTC
    #[arg(long, global = true, help_heading = HOW)]
    pub(crate) utc: bool,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Aligned columns, for people
    Table,
    /// The same with all columns
    Wide,
    /// One JSON document, as the API has it
    Json,
    /// A JSON object a line
    Ndjson,
    /// YAML
    Yaml,
    /// Comma-separated values
    Csv,
    /// A picture: of `map` only
    Svg,
    /// Graphviz: of `map` only
    Dot,
    /// Mermaid: of `map` only
    Mermaid,
    /// Parquet: of `export` only, and of connections and requests
    Parquet,
}

impl Form {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// When to do something that is for terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Whether all is well, and whether what is seen is complete; 1 is the exit code where something is bad
    Status,
    /// The sites
    Sites(List),
    /// The routers
    Routers(List),
    /// The links between routers
    Links(List),
    /// The services: addresses with listeners and connectors
    Services(List),
    /// The components: processes that are the same workload
    Components(List),
    /// The processes
    Processes(List),
    /// The listeners: where routers accept connections of clients
    Listeners(List),
    /// The connectors: where routers connect to servers
    Connectors(List),
    /// What is going on, or was: the last connections, requests, events or links
    Observe(Observe),
    /// What there is most of, live
    Top(Top),
    /// The ways that traffic takes from a client to a service
    Path(Path),
    /// The network as a tree, or as a picture
    Map(Map),
    /// All that observe can select, complete, to a file or a pipe
    Export(Export),
    /// A query in PromQL, as a table or a chart
    Query(Query),
    /// SQL over a history: commands that answer it, with DuckDB or ClickHouse, or what a ClickHouse answers
    Sql(Sql),
    /// Logs in to a collector: what is asked after that needs no password
    Login,
    /// Logs out of it
    Logout,
    /// Writes what a router sends to a file, to be read with --input
    Record(Record),
    /// Whether a flow log of the collector is as it was written; 1 is the exit code where not
    Verify(Verify),
    /// Writes completions for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Writes man pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory, which has to exist
        directory: PathBuf,
    },
}

/// What of a list is shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct List {
    /// Names, or identities; `*` stands for anything
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) names: Vec<String>,
    /// Shows what has ended, too, as far as it is kept
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// What can be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// Connections between clients and servers
    Connections,
    /// Requests within connections
    Requests,
    /// What happened to the network
    Events,
    /// Links between routers
    Links,
}

/// A range of time.
#[derive(Clone, Debug, Args)]
pub(crate) struct Range {
    /// What was there after that time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// What was there before that time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
}

/// What is observed.
#[derive(Clone, Debug, Args)]
pub(crate) struct Observe {
    /// What to observe
    #[arg(value_enum, default_value_t = Subject::Connections)]
    pub(crate) subject: Subject,
    /// Goes on with what comes
    #[arg(short, long, conflicts_with_all = ["first", "until"])]
    pub(crate) follow: bool,
    /// The first so many
    #[arg(long, value_name = "N", conflicts_with_all = ["last", "all"])]
    pub(crate) first: Option<usize>,
    /// The last so many; 20 where neither this nor a time is given
    #[arg(long, value_name = "N", conflicts_with = "all")]
    pub(crate) last: Option<usize>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) range: Range,
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// What there is most of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ranked {
    /// Services
    Services,
    /// Pairs of components
    Pairs,
    /// Pairs of processes
    Processes,
    /// Pairs of sites
    Sites,
}

/// What there is most of, by what, and how often it is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Top {
    /// What to rank
    #[arg(value_enum, default_value_t = Ranked::Services)]
    pub(crate) ranked: Ranked,
    /// Prints one table
    #[arg(long)]
    pub(crate) once: bool,
    /// The column to sort by
    #[arg(long, value_name = "COLUMN")]
    pub(crate) sort: Option<String>,
    /// The time over which rates are
    #[arg(long, value_name = "TIME", default_value = "1m")]
    pub(crate) window: String,
}

/// Between what.
#[derive(Clone, Debug, Args)]
pub(crate) struct Path {
    /// The client: a process, by name or identity, or a site
    pub(crate) client: String,
    /// The service, by address or identity, or a process
    pub(crate) service: String,
}

/// What of the network is shown, and how much of it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Map {
    /// What is shown within sites
    #[arg(long, value_enum, default_value_t = Level::Component)]
    pub(crate) level: Level,
    /// Only what takes part in this service, by address or identity
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) service: Option<String>,
}

/// How much of a network a map shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Sites
    Site,
    /// And their components
    Component,
    /// And their processes
    Process,
}

/// What is exported.
#[derive(Clone, Debug, Args)]
pub(crate) struct Export {
    /// What to export
    #[arg(value_enum, default_value_t = Subject::Connections)]
    pub(crate) subject: Subject,
    /// The file to write; what exists is not overwritten. The standard output where it is not given
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) range: Range,
    #[command(flatten)]
    pub(crate) filters: Filters,
}

/// A query.
#[derive(Clone, Debug, Args)]
pub(crate) struct Query {
    /// The expression, in PromQL
    pub(crate) expression: String,
    #[command(flatten)]
    pub(crate) range: Range,
    /// How far apart the values of a range are, as in 30s; a hundredth of the range where it is not given
    #[arg(long, value_name = "TIME")]
    pub(crate) step: Option<String>,
    /// Draws a chart, of the last hour where no time is given
    #[arg(long)]
    pub(crate) chart: bool,
}

/// A program that speaks SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// DuckDB, `duckdb`
    Duckdb,
    /// ClickHouse, `clickhouse local`
    Clickhouse,
}

/// A statement, and where the history is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sql {
    /// The statement, over the views connections, requests and what else there is
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) statement: String,
    /// The directory where the collector keeps its history, as its own option says
    #[arg(long, env = "VANFLOW_HISTORY_DIR", value_name = "DIR")]
    pub(crate) history_dir: Option<PathBuf>,
    /// The ClickHouse that the collector sends its history to, as its own option says: the statement is answered by it.
    /// --password-file has the password of the user in it, if it is not --user
    #[arg(long, env = "VANFLOW_HISTORY_CLICKHOUSE", value_name = "URL")]
    pub(crate) history_clickhouse: Option<String>,
    /// The program to print the command for, over the files in --history-dir; all where it is not given
    #[arg(long, value_enum, value_name = "PROGRAM")]
    pub(crate) with: Option<Engine>,
}

/// What is recorded.
#[derive(Clone, Debug, Args)]
pub(crate) struct Record {
    /// The file to write; what exists is not overwritten
    pub(crate) file: PathBuf,
    /// The router, amqp://host:port or amqps://host:port
    #[arg(long, env = "VANFLOW_ROUTER", value_name = "URL")]
    pub(crate) router: String,
    /// A file with the password of the user whom --router names, as in amqp://USER@host
    #[arg(long, env = "VANFLOW_ROUTER_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) router_password_file: Option<PathBuf>,
    /// The certificate to show an amqps router, a PEM file; --ca has the authorities to trust
    #[arg(long, env = "VANFLOW_CERT", value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key of --cert
    #[arg(long, env = "VANFLOW_KEY", value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// How long to record, as in 10m; until interrupted where it is not given
    #[arg(long, value_name = "TIME")]
    pub(crate) r#for: Option<String>,
}

/// What is checked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Verify {
    /// The file of --flow-log, which is checked with the finished ones beside it; or several files, in their order
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn what_can_be_typed_makes_sense() {
        Cli::command().debug_assert();
    }
}
