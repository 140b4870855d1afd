//! Whatever is typed makes sense, or is refused with what would.

use std::{collections::HashSet, fmt};

use clap::{CommandFactory, Parser};
use vanflow_api::metrics::Detail;

use super::*;

/// What the command line means, where no file exists; errors as their text.
fn settings(line: &str) -> Result<Settings, String> {
    settings_where(line, |_| false)
}

fn settings_where(line: &str, exists: impl Fn(&Path) -> bool) -> Result<Settings, String> {
    let args = Args::try_parse_from(["vanflow-collector"].into_iter().chain(line.split_whitespace()))
        .map_err(|error| {
            error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
    Settings::new(args, exists).map_err(|error| error.to_string())
}

fn error(line: &str) -> String {
    settings(line).expect_err("makes no sense")
}

#[test]
fn the_defaults_are_those_that_the_documentation_promises() {
    let settings = settings("--router amqp://localhost").expect("makes sense");
    assert_eq!(settings.http.listen, ["127.0.0.1:8010"]);
    assert_eq!(settings.http.limits, Limits::default());
    assert_eq!(settings.http.cors, Cors::SameOrigin);
    assert_eq!(settings.metrics_listen, None);
    assert_eq!(settings.metrics.detail, Detail::Process);
    assert_eq!(settings.metrics.zero_for, Duration::from_secs(15));
    assert_eq!(settings.store.retention_micros, 15 * 60 * 1_000_000);
    assert_eq!((settings.memory, settings.store.memory_bound), (None, None));
    assert_eq!(settings.state, None);
    assert_eq!(settings.capture, None);
}

#[test]
fn what_is_not_named_is_as_whoever_embeds_the_crates_has_it() {
    let settings = settings("--demo").expect("makes sense");
    let same = |ours: &dyn fmt::Debug, theirs: &dyn fmt::Debug| {
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    };
    same(&settings.metrics, &metrics::MetricsOptions::default());
    same(&settings.history, &Some(HistoryOptions::default()));
    same(&settings.store, &vanflow_store::StoreOptions::default());
    same(&settings.source, &Source::Demo(demo::DemoOptions::default()));
}

#[test]
fn options_that_messages_name_exist() {
    let command = Args::command();
    let options: HashSet<_> = command.get_arguments().filter_map(|option| option.get_long()).collect();
    let code = concat!(include_str!("../settings.rs"), include_str!("access.rs"), include_str!("keeping.rs"));
    let named: Vec<_> = code
        .split("--")
        .skip(1)
        .map(|rest| {
            rest.split(|letter: char| {
                !(letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
            })
        })
        .filter_map(|mut words| words.next())
        .collect();
    assert!(named.len() > 30, "{named:?}");
    for option in named {
        assert!(options.contains(option), "there is no --{option}");
    }
}

#[test]
fn metrics_are_reported_as_it_is_asked_for() {
    let settings = settings(
        "--demo --metrics-listen 127.0.0.1:9000 --metrics-labels network=west --metrics-labels observer=a=b \
         --metrics-detail site --metrics-exclude skupper_internal_latency_seconds --metrics-zero-for 0s",
    );
    let settings = settings.expect("makes sense");
    assert_eq!(settings.metrics_listen.as_deref(), Some("127.0.0.1:9000"));
    let metrics = settings.metrics;
    let labels = [("network", "west"), ("observer", "a=b")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(metrics.labels, labels);
    assert_eq!(metrics.detail, Detail::Site);
    assert_eq!(metrics.exclude, ["skupper_internal_latency_seconds"]);
    assert_eq!(metrics.zero_for, Duration::ZERO);
    assert_eq!(
        error("--demo --metrics-labels west"),
        "--metrics-labels is `west`; it must be a name and a value, such as network=west"
    );
    assert_eq!(
        error("--demo --metrics-labels protocol=tcp"),
        "--metrics-labels: a label cannot have the name `protocol`, which one of skupper_connections_opened_total has"
    );
    assert_eq!(error("--demo --metrics-exclude up"), "--metrics-exclude: there is no metric `up`");
    assert_eq!(
        error("--demo --metrics-listen 9000"),
        "--metrics-listen is `9000`; it must be host:port, such as 127.0.0.1:8010, or :8010 for every \
         address of this machine"
    );
    assert_eq!(error("--demo --metrics-detail host"), "invalid value 'host' for '--metrics-detail <DETAIL>'");
}

#[test]
fn a_network_and_a_collector_can_have_identities() {
    let identified = settings("--demo --metrics-labels a=b --network-id west --observer-id west-1");
    let identified = identified.expect("makes sense");
    let labels = [("a", "b"), ("network_id", "west"), ("observer_id", "west-1")];
    assert_eq!(identified.metrics.labels, labels.map(|(name, value)| (name.into(), value.into())));
    assert_eq!(identified.network.as_deref(), Some("west"));
    assert_eq!(settings("--demo").expect("makes sense").network, None);
    assert_eq!(
        error("--demo --network-id west --metrics-labels network_id=east"),
        "--network-id is the label network_id of all metrics, which --metrics-labels has as `east`: give one of them"
    );
    assert_eq!(error("--demo --observer-id="), "--observer-id is ``; it must be an identity, such as west");
}

#[test]
fn what_is_measured_is_kept_as_it_is_asked_for() {
    let history = |line: &str| settings(line).expect("makes sense").history;
    let kept = history("--demo --history 3h --history-interval 15s --history-memory 1M").expect("is kept");
    assert_eq!(kept.horizon, Duration::from_hours(3));
    assert_eq!(kept.interval, Duration::from_secs(15));
    assert_eq!(kept.memory, 1_000_000);
    assert!(history("--demo --history 0s").is_none());
    assert_eq!(
        error("--demo --history-interval 1m"),
        "--history-interval is `1m`; it must be 1s to 15s: charts look back 30 seconds, and need two values in them"
    );
    assert_eq!(
        error("--demo --history-memory 1k"),
        "--history-memory is `1000`; it must be 1M or more; --history 0s keeps nothing"
    );
}

#[test]
fn records_come_from_exactly_one_place() {
    assert_eq!(
        error(""),
        "no source of records: give one of --router URL, --connect-skupper NAMESPACE, --connect-json FILE, --demo and --replay FILE \
         (/etc/messaging/connect.json, where Skupper mounts the address of its router, does not exist)"
    );
    assert_eq!(
        error("--demo --replay a.jsonl"),
        "--demo and --replay, or their environment variables, each name a source of records: give one of them"
    );
    assert_eq!(
        error("--router amqp://a --connect-json b"),
        "--router and --connect-json, or their environment variables, each name a source of records: give one of them"
    );
}

#[test]
fn a_mounted_connect_json_is_taken_where_nothing_else_is_named() {
    let mounted = |path: &Path| path == Path::new(CONNECT_JSON);
    let source = |line| settings_where(line, mounted).expect("makes sense").source;
    assert_eq!(source(""), Source::Router(Router::ConnectJson(CONNECT_JSON.into())));
    assert_eq!(source("--demo"), Source::Demo(demo::DemoOptions::default()));
}

#[test]
fn a_router_is_named_by_its_url() {
    assert_eq!(
        settings("--router amqps://r:5671 --ca ca.crt --cert tls.crt --key tls.key")
            .expect("makes sense")
            .source,
        Source::Router(Router::Url {
            url: "amqps://r:5671".into(),
            ca: Some("ca.crt".into()),
            identity: Some(("tls.crt".into(), "tls.key".into())),
            password: None,
        })
    );
    assert_eq!(
        error("--router localhost:5672"),
        "--router is `localhost:5672`; it must be amqp://host:port or amqps://host:port"
    );
    assert_eq!(error("--router amqps://r"), "an amqps:// router needs --ca FILE");
    assert_eq!(error("--router amqps://r --ca ca.crt --cert tls.crt"), "--cert needs --key");
    assert_eq!(error("--router amqps://r --ca ca.crt --key tls.key"), "--key needs --cert");
    assert_eq!(
        error("--router amqp://r --ca ca.crt"),
        "--ca cannot go with an amqp:// router: only amqps:// uses certificates"
    );
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    assert_eq!(error("--demo --speed 3"), "--speed needs --replay FILE");
    assert_eq!(error("--replay a --demo-seed 3"), "--demo-seed needs --demo");
    assert_eq!(error("--demo --ca ca.crt"), "--ca needs --router URL");
    assert_eq!(error("--demo --state-interval 3s"), "--state-interval needs --state DIR");
    assert_eq!(
        error("--replay a --capture b"),
        "--capture cannot go with --replay: what is replayed is a capture already"
    );
    assert_eq!(
        error("--replay a --state b"),
        "--state cannot go with --replay: a replay has a time of its own, and starts anew every time"
    );
    assert_eq!(error("--demo --tls-cert a"), "--tls-cert needs --tls-key");
}

#[test]
fn charts_have_a_quarter_of_what_the_process_may_take_at_most() {
    let most = |options: &str| {
        let settings = settings(options).expect("makes sense");
        (settings.memory, settings.history.expect("there is one").memory)
    };
    assert_eq!(most("--demo"), (None, 256 << 20));
    assert_eq!(most("--demo --memory 400M"), (Some(400_000_000), 100_000_000));
    assert_eq!(most("--demo --memory 400M --history-memory 8M"), (Some(400_000_000), 8_000_000));
}

#[test]
fn values_that_make_no_sense_are_named_with_what_would() {
    assert_eq!(error("--demo --connections 0"), "--connections is `0`; it must be 1 or more");
    assert_eq!(
        error("--demo --memory 3k"),
        "--memory is `3000`; it must be 64M or more: it is for the process"
    );
    assert_eq!(error("--demo --demo-rate nan"), "--demo-rate is `NaN`; it must be 0 or more");
    assert_eq!(error("--demo --stall-timeout 1ms"), "--stall-timeout is `1ms`; it must be 1s or more");
    assert_eq!(
        error("--demo --state a --state-interval 1ms"),
        "--state-interval is `1ms`; it must be 100ms or more"
    );
    assert_eq!(
        error("--demo --listen 8010"),
        "--listen is `8010`; it must be host:port, such as 127.0.0.1:8010, or :8010 for every address \
         of this machine"
    );
    assert_eq!(
        error("--demo --cors console.example.com"),
        "--cors is `console.example.com`; it must be an origin such as https://console.example.com, without a \
         path, or *"
    );
    assert_eq!(
        error("--demo --retention 15"),
        "invalid value '15' for '--retention <TIME>': expected a time with its unit, such as 90s, 15m or 2h"
    );
    assert_eq!(
        error("--replay a --speed 0"),
        "invalid value '0' for '--speed <N|max>': expected a number above 0, or max"
    );
}

#[test]
fn a_prometheus_is_named_by_its_address() {
    let named = |line: &str| settings(line).map(|settings| settings.prometheus);
    let ca = Some(PathBuf::from("ca.crt"));
    let prometheus = |url: &str, ca| Ok(Some(Prometheus { url: url.into(), ca }));
    assert_eq!(named("--demo"), Ok(None));
    assert_eq!(named("--demo --prometheus-api http://p:9090"), prometheus("http://p:9090", None));
    assert_eq!(
        named("--demo --prometheus-api https://p/below/ --prometheus-ca ca.crt"),
        prometheus("https://p/below", ca)
    );
    for wrong in ["p:9090", "ftp://p", "http://", "http://a:b@p", "http://p/?a=b", "http:p"] {
        assert_eq!(
            error(&format!("--demo --prometheus-api {wrong}")),
            format!(
                "--prometheus-api is `{wrong}`; it must be http://host:port or https://host:port, with a path \
                 where the API is below one, and nothing else"
            )
        );
    }
    assert_eq!(error("--demo --prometheus-ca a"), "--prometheus-ca needs --prometheus-api URL");
    assert_eq!(
        error("--demo --prometheus-api http://p --prometheus-ca a"),
        "--prometheus-ca cannot go with an http:// Prometheus: only https:// uses certificates"
    );
}

#[test]
fn several_addresses_can_be_listened_on() {
    let settings = settings("--demo --listen 127.0.0.1:1 --listen [::1]:2,localhost:3").expect("makes sense");
    assert_eq!(settings.http.listen, ["127.0.0.1:1", "[::1]:2", "localhost:3"]);
}

#[test]
fn beyond_loopback_nothing_starts_that_does_not_say_who_may_look() {
    for listen in ["0.0.0.0:8010", "[::]:0", "192.0.2.1:8010", "collector.example:8010"] {
        for auth in ["", " --auth none"] {
            assert_eq!(
                error(&format!("--demo --listen 127.0.0.1:0 --listen {listen}{auth}")),
                format!(
                    "--listen {listen} is reached from other machines, and nothing says who may look: name them with --auth \
                     htpasswd=FILE or --auth tokens=FILE, or listen at 127.0.0.1; --insecure-no-auth shows everything to \
                     anyone"
                )
            );
        }
        for enough in [
            "--auth htpasswd=users",
            "--auth tokens=tokens",
            "--insecure-no-auth",
            "--auth none --insecure-no-auth",
        ] {
            assert!(settings(&format!("--demo --listen {listen} {enough}")).is_ok(), "{listen} {enough}");
        }
    }
    for local in ["127.0.0.1:0", "[::1]:0", "localhost:0"] {
        let access = settings(&format!("--demo --listen {local}")).expect("makes sense").access;
        assert_eq!(access, Access::open());
    }
    assert!(
        settings("--demo --metrics-listen 0.0.0.0:9000").is_ok(),
        "what is there is for whoever watches over it"
    );
}

#[test]
fn who_may_look_is_said_once_for_each_kind() {
    let access = |line: &str| settings(&format!("--demo {line}")).expect("makes sense").access;
    let asked = access("--auth htpasswd=/etc/users=1 --auth tokens=t --session-time 1h");
    assert_eq!(asked.kinds, [Auth::Htpasswd("/etc/users=1".into()), Auth::Tokens("t".into())]);
    assert_eq!((asked.metrics_open, asked.session_time), (false, Duration::from_secs(3600)));
    assert!(access("--auth tokens=t --metrics-no-auth").metrics_open);
    for wrong in [
        "nobody",
        "htpasswd",
        "htpasswd=",
        "none=x",
        "=",
        "tokens:t",
        "certificate=x",
        "proxy",
        "proxy=",
        "proxy=p",
        "proxy=10.0.0.0/33",
        "proxy=10.0.0.0/-1",
        "proxy=::1/129",
    ] {
        assert_eq!(
            error(&format!("--demo --auth {wrong}")),
            format!(
                "--auth is `{wrong}`; it must be none, htpasswd=FILE, tokens=FILE, certificate or proxy=ADDRESS, such as \
                 proxy=127.0.0.1 or proxy=10.0.0.0/8"
            )
        );
    }
    assert_eq!(
        error("--demo --auth tokens=a --auth tokens=b"),
        "--auth is `tokens=a` and `tokens=b`; it must be given once of each kind: have all of it in one file"
    );
    assert_eq!(
        error("--demo --auth none --auth tokens=b"),
        "--auth none cannot go with another --auth: nobody is asked for anything then"
    );
    assert_eq!(
        error("--demo --auth tokens=b --insecure-no-auth"),
        "--insecure-no-auth cannot go with --auth: one says that nobody is asked, the other what is asked for"
    );
    assert_eq!(error("--demo --session-time 1s"), "--session-time is `1s`; it must be 1m or more");
}

#[cfg(feature = "archive")]
#[test]
fn a_clickhouse_is_named_by_a_url_that_says_no_more_than_where_it_is() {
    let settings_of = |line: &str| settings(&format!("--demo --history-dir dir {line}"));
    let clickhouse = |line| settings_of(line).expect("makes sense").clickhouse.expect("one");
    let plain = clickhouse("--history-clickhouse http://ch:8123");
    assert_eq!((&*plain.url, &*plain.database, plain.user), ("http://ch:8123", "vanflow", None));
    assert_eq!((plain.outbox_octets, plain.keep, plain.cluster), (1 << 30, None, None));
    assert_eq!(plain.outbox, std::path::Path::new("dir/outbox/clickhouse"));
    let other = clickhouse(
        "--history-clickhouse https://wri%20ter@ch.example:8443/van/ --history-clickhouse-cluster c-1 \
         --history-outbox-size 2M --history-clickhouse-keep 90d --network-id net --observer-id me",
    );
    assert_eq!((&*other.url, &*other.database), ("https://ch.example:8443", "van"));
    assert_eq!((other.user.as_deref(), other.cluster.as_deref()), (Some("wri ter"), Some("c-1")));
    assert_eq!((other.outbox_octets, other.network.as_deref()), (2_000_000, Some("net")));

    let must = "it must be http://host:port/database or https://host:port/database, with user@ before the host where it \
                asks for one";
    for url in
        ["ch:8123", "http://", "http://u:secret@ch", "http://ch/a/b", "http://ch/?a=b", "http://ch/a'b"]
    {
        let refused = settings_of(&format!("--history-clickhouse {url}")).expect_err("makes no sense");
        assert_eq!(refused.to_string(), format!("--history-clickhouse is `{url}`; {must}"));
    }
    for (line, error) in [
        ("--history-outbox-size 2M", "--history-outbox-size needs --history-clickhouse URL"),
        (
            "--history-clickhouse http://ch --history-clickhouse-cluster a`b",
            "--history-clickhouse-cluster is `a`b`; it must be a name: letters, digits, _, - and no other",
        ),
    ] {
        assert_eq!(settings_of(line).expect_err("makes no sense").to_string(), error);
    }
    let without = settings("--demo --history-clickhouse http://ch").expect_err("makes no sense");
    assert_eq!(without.to_string(), "--history-clickhouse needs --history-dir DIR: what waits is there");
}

#[cfg(feature = "bucket")]
#[test]
fn a_bucket_is_named_by_a_url_with_a_place_in_it_or_without() {
    let settings_of = |line: &str| settings(&format!("--demo --history-dir dir {line}"));
    let settings = settings_of("--history-bucket s3://history --history-bucket-endpoint http://s3:8333")
        .expect("makes sense");
    let bucket = settings.bucket.expect("one");
    assert_eq!((&*bucket.bucket, &*bucket.prefix), ("history", ""));
    assert_eq!(bucket.endpoint.as_deref(), Some("http://s3:8333"));
    let options = settings.archive.expect("one").options;
    assert_eq!(
        (options.keeps_unsent, options.keep_octets, bucket.cache_octets),
        (true, Some(10 << 30), 1 << 30)
    );
    let settings =
        settings_of("--history-bucket s3://history/van/west/ --history-keep-size 2G").expect("makes sense");
    assert_eq!(settings.bucket.expect("one").prefix, "van/west/");
    assert_eq!(settings.archive.expect("one").options.keep_octets, Some(2_000_000_000));
    for (line, error) in [
        (
            "--history-bucket s3://",
            "--history-bucket is `s3://`; it must be s3://bucket or s3://bucket/prefix",
        ),
        (
            "--history-bucket s3://b --history-bucket-endpoint s3:8333",
            "--history-bucket-endpoint is `s3:8333`; it must be http://host:port or https://host:port",
        ),
        ("--history-bucket-ca ca.pem", "--history-bucket-ca needs --history-bucket URL"),
        ("--history-cache-size 2G", "--history-cache-size needs --history-bucket URL"),
        (
            "--history-bucket s3://b --history-cache-size 2k",
            "--history-cache-size is `2000`; it must be 1M or more",
        ),
    ] {
        assert_eq!(settings_of(line).expect_err("makes no sense").to_string(), error);
    }
}

#[test]
fn a_flow_log_is_as_it_was_asked_for_or_refused_with_what_makes_no_sense() {
    assert_eq!(settings("--demo").expect("makes sense").flow_log, None);
    let log = settings("--demo --flow-log flow.log").expect("makes sense").flow_log.expect("a log");
    assert_eq!(log.target, FlowLogTarget::File("flow.log".into()));
    assert_eq!(log.format, FlowLogFormat::Json);
    assert_eq!((log.rotation.octets, log.rotation.age, log.rotation.keep), (Some(100_000_000), None, 10));
    let log = settings(
        "--demo --flow-log flow.log --flow-log-fields time,key,status --flow-log-rotate-size 0 \
         --flow-log-rotate-age 1d --flow-log-keep 3 --flow-log-chain --network-id van \
         --flow-log-opened --flow-log-progress 5m --flow-log-filter site=a,site=b,not-error",
    );
    let log = log.expect("makes sense").flow_log.expect("a log");
    assert_eq!(log.fields, Some(["time", "key", "status"].map(str::to_owned).to_vec()));
    assert_eq!((log.rotation.octets, log.rotation.keep, log.is_chained), (None, 3, true));
    assert_eq!(log.rotation.age, Some(Duration::from_secs(24 * 60 * 60)));
    let log = settings("--demo --flow-log - --flow-log-format combined").expect("makes sense");
    assert_eq!(log.flow_log.expect("a log").target, FlowLogTarget::Stdout);

    for (line, expected) in [
        ("--flow-log-chain", "--flow-log-chain needs --flow-log FILE"),
        ("--flow-log-keep 2", "--flow-log-keep needs --flow-log FILE"),
        (
            "--flow-log - --flow-log-rotate-size 1M",
            "--flow-log-rotate-size needs --flow-log FILE: the standard output is nothing to rotate",
        ),
        (
            "--flow-log f --flow-log-format combined --flow-log-chain",
            "--flow-log-chain cannot go with --flow-log-format combined: only lines of json have members",
        ),
        ("--flow-log /", "--flow-log is `/`; it must be a file, or - for the standard output"),
        (
            "--flow-log f --flow-log-rotate-size 9k",
            "--flow-log-rotate-size is `9000`; it must be 10k or more, or 0",
        ),
        ("--flow-log f --flow-log-rotate-age 1s", "--flow-log-rotate-age is `1s`; it must be 1m or more"),
        ("--flow-log f --flow-log-keep 0", "--flow-log-keep is `0`; it must be 1 or more"),
        ("--flow-log-opened", "--flow-log-opened needs --flow-log FILE"),
        (
            "--flow-log f --flow-log-format combined --flow-log-opened",
            "--flow-log-opened cannot go with --flow-log-format combined: its lines are of what is over",
        ),
        ("--flow-log f --flow-log-progress 1s", "--flow-log-progress is `1s`; it must be 10s or more"),
        (
            "--flow-log f --flow-log-filter to-status=404",
            "--flow-log-filter has `to-status`; it must be some of site, from-site, to-site, component, from-component, \
             to-component, process, from-process, to-process, service, from-service, to-service, host, from-host, to-host, \
             port, from-port, to-port, protocol, status, method, kind, id, error, from-error, to-error, min-octets, \
             from-min-octets, to-min-octets, min-latency, from-min-latency, to-min-latency",
        ),
        (
            "--flow-log f --flow-log-filter status=good-bad",
            "--flow-log-filter is `good-bad`; it must be a status as in 404, 5xx or 400-499, or up or down",
        ),
        (
            "--flow-log f --flow-log-filter site",
            "--flow-log-filter is `site`; it must be NAME=VALUE, as in site=west",
        ),
    ] {
        assert_eq!(error(&format!("--demo {line}")), expected);
    }
    let unknown = error("--demo --flow-log f --flow-log-fields key,octets");
    assert!(
        unknown.starts_with("--flow-log-fields has `octets`; it must be some of time, event, "),
        "{unknown}"
    );
    assert!(unknown.contains(", octetCount, "), "{unknown}");
}

#[cfg(feature = "archive")]
#[test]
fn what_is_on_disk_is_kept_for_as_long_as_is_asked_for() {
    const HOUR: u64 = 60 * 60 * 1_000_000;
    let options = |line: &str| {
        let settings = settings(&format!("--demo --history-dir dir {line}")).expect("makes sense");
        settings.archive.expect("one").options
    };
    let plain = options("");
    assert_eq!((plain.keep_micros, plain.keep_octets), (7 * 24 * HOUR, None));
    assert_eq!(plain.keep_sums_micros, [15 * 24 * HOUR, 90 * 24 * HOUR, 400 * 24 * HOUR]);
    let chosen = options(
        "--history-keep 36h --history-keep-1m 2d --history-keep-5m 1h --history-keep-1h 1y --history-keep-size 3G",
    );
    assert_eq!((chosen.keep_micros, chosen.keep_octets), (36 * HOUR, Some(3_000_000_000)));
    assert_eq!(chosen.keep_sums_micros[..2], [48 * HOUR, HOUR]);
    assert!(chosen.keep_sums_micros[2] >= 365 * 24 * HOUR);
    for option in ["--history-keep", "--history-keep-1m", "--history-keep-5m", "--history-keep-1h"] {
        assert_eq!(error(&format!("--demo {option} 2d")), format!("{option} needs --history-dir DIR"));
        assert_eq!(
            error(&format!("--demo --history-dir dir {option} 59m")),
            format!("{option} is `59m`; it must be 1h or more")
        );
    }
}

#[cfg(not(feature = "archive"))]
#[test]
fn a_history_that_this_build_has_not_is_refused() {
    for option in ["--history-dir d", "--history-keep 2d", "--history-keep-1h 2d", "--history-keep-size 2G"] {
        let name = option.split(' ').next().expect("a name");
        assert_eq!(
            error(&format!("--demo {option}")),
            format!("{name} is not in this build: build vanflow-collector with the cargo feature archive")
        );
    }
}

#[test]
fn the_password_of_a_router_is_in_a_file_or_in_the_url_and_never_repeated() {
    let makes_sense = |line: &str| settings(&format!("--router {line}")).expect("makes sense");
    let by_file = makes_sense("amqp://ann@r --router-password-file p");
    let Source::Router(Router::Url { password, .. }) = &by_file.source else { panic!("it is by its URL") };
    assert_eq!(password.as_deref(), Some(Path::new("p")));
    for wrong in ["amqp://r", "amqp://ann:sesame@r", "amqp://:sesame@r", "amqp://@r"] {
        let said = error(&format!("--router {wrong} --router-password-file p"));
        let url = if wrong.contains('@') { "amqp://…@r" } else { wrong };
        let must =
            "amqp://USER@host:port or amqps://USER@host:port, whose password is in --router-password-file";
        assert_eq!(said, format!("--router is `{url}`; it must be {must}"));
    }
    assert_eq!(
        error("--router http://ann:sesame@r"),
        "--router is `http://…@r`; it must be amqp://host:port or amqps://host:port"
    );
    assert_eq!(error("--demo --router-password-file p"), "--router-password-file needs --router URL");

    let line =
        |arguments: &[&str]| arguments.iter().map(|each| (*each).to_owned()).collect::<Vec<_>>().into_iter();
    let by_url = makes_sense("amqp://ann:sesame@r");
    assert!(by_url.shows_password(line(&["collector", "--router=amqp://ann:sesame@r"])));
    assert!(!by_url.shows_password(line(&["collector"])), "it is in the environment, or in a file");
    assert!(!by_file.shows_password(line(&["collector", "--router", "amqp://ann@r"])));
}

#[test]
fn requests_are_logged_to_a_file_or_to_standard_output() {
    let log = |line: &str| settings(&format!("--demo {line}")).expect("makes sense").access_log;
    let (combined, json) = (AccessLogFormat::Combined, AccessLogFormat::Json);
    assert_eq!(log(""), None);
    assert_eq!(log("--access-log a"), Some(AccessLog { file: Some("a".into()), format: combined }));
    assert_eq!(log("--access-log - --access-log-format json"), Some(AccessLog { file: None, format: json }));
    assert_eq!(error("--demo --access-log-format json"), "--access-log-format needs --access-log FILE");
    assert_eq!(
        error("--demo --access-log="),
        "--access-log is ``; it must be a file, or - for standard output"
    );
    assert_eq!(
        error("--demo --access-log - --access-log-format xml"),
        "invalid value 'xml' for '--access-log-format <FORMAT>'"
    );
    assert_eq!(
        error("--demo --access-log - --flow-log -"),
        "--access-log - cannot go with --flow-log -: their lines could not be told apart"
    );
}

#[test]
fn certificates_of_clients_need_authorities_and_those_need_to_be_asked_for() {
    let tls = "--demo --tls-cert c --tls-key k";
    let both = settings(&format!("{tls} --tls-client-ca ca --auth certificate")).expect("makes sense");
    assert_eq!(both.access.kinds, [Auth::Certificate]);
    assert_eq!(both.http.client_ca.as_deref(), Some(Path::new("ca")));
    assert_eq!(error(&format!("{tls} --auth certificate")), "--auth certificate needs --tls-client-ca FILE");
    assert_eq!(error(&format!("{tls} --tls-client-ca ca")), "--tls-client-ca needs --auth certificate");
    assert_eq!(
        error("--demo --tls-client-ca ca --auth certificate"),
        "--tls-client-ca needs --tls-cert FILE"
    );
}

#[test]
fn proxies_are_named_by_address_or_network() {
    let kinds =
        settings("--demo --auth proxy=127.0.0.1 --auth proxy=[fd00::]/8").expect("makes sense").access.kinds;
    assert_eq!(
        kinds.iter().map(Auth::to_string).collect::<Vec<_>>(),
        ["proxy=127.0.0.1/32", "proxy=fd00::/8"]
    );
    for (network, address, is_in) in [
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.0/8", "::ffff:10.0.0.1", true),
        ("0.0.0.0/0", "192.0.2.1", true),
        ("0.0.0.0/0", "::1", false),
        ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe00::1", false),
        ("::1", "::1", true),
    ] {
        let addresses: Addresses = network.parse().expect("a network");
        assert_eq!(addresses.contain(address.parse().expect("an address")), is_in, "{network} {address}");
    }
}
