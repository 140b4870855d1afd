//! The manifests ask the collector for what it can do.

use std::{collections::BTreeSet, fs, path::Path};

use clap::{CommandFactory, Parser};
use vanflow_collector::config::{Args, Auth, CommandLine, Router, Settings, Source};

use crate::manifest::environment;

const MANIFESTS: [&str; 2] = ["deploy.yaml", "deploy-skupper-1.yaml"];

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The option that a variable of the environment stands for.
fn option(variable: &str) -> String {
    let command = Args::command();
    let argument = command
        .get_arguments()
        .find(|argument| argument.get_env().is_some_and(|name| name == variable))
        .unwrap_or_else(|| panic!("no option can be given as {variable}"));
    argument.get_long().expect("every option is long").to_owned()
}

fn settings(manifest: &str) -> Settings {
    let environment = environment(&read(manifest));
    assert!(environment.len() > 4, "{environment:?}");
    let command = Args::command();
    let is_flag = |name: &str| {
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some(name));
        argument.is_some_and(|argument| !argument.get_action().takes_values())
    };
    let options = environment.into_iter().filter_map(|(name, value)| match option(&name) {
        flag if is_flag(&flag) => (value == "true").then(|| format!("--{flag}")),
        option => Some(format!("--{option}={value}")),
    });
    let args = Args::try_parse_from(["vanflow-collector".to_owned()].into_iter().chain(options));
    let args = args.unwrap_or_else(|error| panic!("{manifest}: {error}"));
    Settings::new(args, |_| false).unwrap_or_else(|error| panic!("{manifest}: {error}"))
}

#[test]
fn manifests_set_variables_that_exist_to_values_that_make_sense() {
    for manifest in MANIFESTS {
        let settings = settings(manifest);
        assert_eq!(settings.http.listen, [":8010"], "{manifest}");
        assert_eq!(settings.metrics_listen.as_deref(), Some(":9000"), "{manifest}");
        assert!(settings.memory.is_some(), "{manifest}");
    }
}

#[test]
fn a_collector_at_skupper_2_shows_its_router_the_certificate_that_was_made_for_it() {
    let Source::Router(Router::Url { url, ca, identity, .. }) = settings("deploy.yaml").source else {
        panic!("it attaches to a router by its address")
    };
    assert_eq!(url, "amqps://skupper-router-local:5671");
    assert_eq!(ca, Some("/etc/messaging/ca.crt".into()));
    assert_eq!(identity, Some(("/etc/messaging/tls.crt".into(), "/etc/messaging/tls.key".into())));
}

#[test]
fn a_collector_at_skupper_1_attaches_by_what_skupper_mounts() {
    let source = settings("deploy-skupper-1.yaml").source;
    assert_eq!(source, Source::Router(Router::ConnectJson("/etc/messaging/connect.json".into())));
}

#[test]
fn variables_that_documents_name_exist() {
    for document in [
        "README.md",
        "Containerfile",
        "docs/moving.md",
        "docs/metrics.md",
        "docs/console.md",
        "packaging/systemd/vanflow-collector.service",
        "packaging/systemd/user/vanflow-collector.service",
        "packaging/podman/vanflow-collector.container",
        "docs/access.md",
        "docs/operate.md",
    ] {
        for rest in read(document).split("VANFLOW_").skip(1) {
            let name = rest.split(|letter: char| !(letter.is_ascii_uppercase() || letter == '_')).next();
            option(&format!("VANFLOW_{}", name.unwrap_or_default()));
        }
    }
}

/// The arguments of the collector in what the chart renders.
fn arguments(rendered: &str) -> Vec<String> {
    let (_, container) = rendered.split_once("- name: network-observer\n").expect("there is a container");
    let (_, rest) = container.split_once("args:\n").expect("it has arguments");
    rest.lines()
        .map(str::trim)
        .take_while(|line| line.starts_with("- ") || line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("- "))
        .filter(|argument| argument.trim_matches('"').starts_with('-'))
        .map(|argument| argument.trim_matches('"').to_owned())
        .collect()
}

#[test]
fn what_the_chart_renders_starts_a_collector() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("chart");
    let mut strategies = BTreeSet::new();
    for file in fs::read_dir(directory).expect("it is there").flatten() {
        let name = file.file_name().into_string().expect("UTF-8");
        if name.ends_with(".values.yaml") {
            continue;
        }
        let rendered = fs::read_to_string(file.path()).expect("UTF-8");
        let arguments = arguments(&rendered);
        assert!(arguments.len() > 10, "{name}: {arguments:?}");
        let line = ["vanflow-collector".to_owned()].into_iter().chain(arguments).map(Into::into);
        let line = CommandLine::read(line).unwrap_or_else(|error| panic!("{name}: {error}"));
        let settings = Settings::new(line.args, |_| false).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(settings.metrics_listen.as_deref(), Some(":9000"), "{name}");
        // Beyond the pod it is TLS, always; a proxy beside it asks it without.
        assert_eq!(settings.http.tls.is_some(), !settings.http.is_local(), "{name}");
        assert_eq!(rendered.contains("name: proxy\n"), settings.http.is_local(), "{name}");
        let access = settings.access;
        strategies.extend(access.kinds.iter().map(ToString::to_string));
        assert_eq!(access.is_open(), rendered.contains("Nobody is asked who they are"), "{name}");
    }
    let expected = ["htpasswd=/etc/httpusers/htpasswd", "proxy=127.0.0.1/32"];
    assert_eq!(strategies, expected.map(str::to_owned).into(), "a password and a proxy have a case each");
}

#[test]
fn a_service_of_systemd_has_options_that_make_sense() {
    let unit = read("packaging/systemd/vanflow-collector.service");
    assert!(unit.contains("VANFLOW_CONFIG=/etc/vanflow-collector/collector.toml"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
    let file = root.join("packaging/collector.toml");
    // With all that is commented out, which is there to be taken in.
    let text = read("packaging/collector.toml")
        .replace("\nlisten =", "\n#listen =")
        .replace("\n#listen = \":", "\nlisten = \":");
    let all = text.replace("\n#tls", "\ntls").replace("\n#auth", "\nauth");
    let directory = tempfile::tempdir().expect("a directory");
    let whole = directory.path().join("collector.toml");
    fs::write(&whole, all).expect("it can be written");
    for (file, listen) in [(&file, "127.0.0.1:8010"), (&whole, ":8010")] {
        let line = ["vanflow-collector".into(), "--config".into(), file.clone().into_os_string()];
        let line = CommandLine::read(line).unwrap_or_else(|error| panic!("{error}"));
        let settings = Settings::new(line.args, |_| false).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings.http.listen, [listen]);
        assert_eq!(settings.http.tls.is_some(), listen == ":8010");
        assert!(
            settings.state.is_some_and(|state| state.directory == Path::new("/var/lib/vanflow-collector"))
        );
        let users = Auth::Htpasswd("/run/credentials/vanflow-collector.service/htpasswd".into());
        assert_eq!(settings.access.kinds.contains(&users), listen == ":8010");
        assert!(unit.contains("LoadCredential=htpasswd:"));
        // Each file that it names is one that the unit hands to it.
        let Source::Router(Router::Url { ca: Some(ca), .. }) = settings.source else {
            panic!("no authority")
        };
        let name = ca.file_name().and_then(|name| name.to_str()).expect("a name");
        assert_eq!(ca, Path::new("/run/credentials/vanflow-collector.service").join(name));
        assert!(unit.contains(&format!("LoadCredential={name}:")), "{name}");
    }
}
