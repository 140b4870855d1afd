//! Records that are kept come back, whatever happened to the disk or the file.

use crate::starting::Progress;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use vanflow_proto::{
    Attribute, Body, Dialect, Encoder, Message, RecordKind, SourceType, UpdateBuf, ValueBuf,
};
use vanflow_store::{SourceId, StoreOptions};

use super::*;

const RETENTION: Duration = Duration::from_secs(900);
/// Sunday evening, by our clock.
const NOW: Timestamp = Timestamp::from_micros(1_795_390_000_000_000);

fn after(seconds: u64) -> Timestamp {
    NOW.plus_micros(seconds * 1_000_000)
}

fn report(store: &mut Store, source: SourceId, updates: &[UpdateBuf], now: Timestamp) {
    let message = Encoder::new(Dialect::Router).records("mc/sfe.a:0", 1, updates);
    let Ok(Body::Records(updates)) = Message::decode(&message).map(|message| message.body) else {
        panic!("it was encoded as records")
    };
    for update in updates {
        store.apply(source, update.expect("it was encoded"), now);
    }
}

fn update(kind: RecordKind, id: &str, start: u64) -> UpdateBuf {
    UpdateBuf::new(kind, id).with(Attribute::StartTime, start)
}

/// A store that knows a router's records, of all sorts.
fn store() -> Store {
    let mut store = Store::new(StoreOptions::default());
    let router = store.source_seen("a:0", SourceType::Router, NOW);
    store.heartbeat(router, after(3600), NOW);
    let odd = UpdateBuf {
        type_code: Some(99),
        id: "a:9".into(),
        attributes: vec![
            (3, ValueBuf::Uint(5)),
            (500, ValueBuf::Int(-3)),
            (501, ValueBuf::Bool(true)),
            (502, ValueBuf::Text("text".into())),
            (503, ValueBuf::Encoded([0xc0, 2, 1, 0x40].into())),
        ],
    };
    let reported = [
        update(RecordKind::Router, "a:0", 1).with(Attribute::Name, "0/a"),
        update(RecordKind::Listener, "a:1", 2).with(Attribute::VanAddress, "echo:7"),
        update(RecordKind::Process, "p", 2).with(Attribute::ImageName, "cart:1"),
        update(RecordKind::BiflowTport, "a:2", 3).with(Attribute::Parent, "a:1").with(Attribute::Octets, 7),
        update(RecordKind::BiflowTport, "a:3", 3).with(Attribute::EndTime, 4),
        UpdateBuf::new(RecordKind::Link, "a:4").with(Attribute::Octets, 7),
        odd,
    ];
    report(&mut store, router, &reported, NOW);
    let gone = store.source_seen("b", SourceType::Other("NEW"), NOW);
    report(&mut store, gone, &[update(RecordKind::Site, "b", 1)], NOW);
    store.source_lost(gone, NOW, after(30));
    store
}

/// All that a store reports its records.
fn contents(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let records = snapshot.records().filter(|record| !record.is_derived()).map(|record| {
        let fields: Vec<_> = record.fields().map(|(code, field)| format!("{code}={field:?}")).collect();
        let source = record.source().expect("somebody reported it");
        format!(
            "{} {:?} of {} {}: {} {:?}",
            record.id(),
            record.type_code(),
            source.source_type(),
            source.id(),
            fields.join(" "),
            record.ended()
        )
    });
    let mut records: Vec<_> = records.collect();
    records.sort_unstable();
    records
}

fn open(directory: &TempDir, now: Timestamp) -> (Keeper, Store, Vec<Known>) {
    let mut store = Store::new(StoreOptions::default());
    let (keeper, restored) =
        Keeper::open(directory.path(), &mut store, (RETENTION, &Progress::default()), now)
            .expect("a directory of our own");
    (keeper, store, restored)
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Keeps a store, and brings it back in another one.
fn kept(store: Store, now: Timestamp) -> (Store, Vec<Known>) {
    let directory = directory();
    let (mut keeper, ..) = open(&directory, NOW);
    keeper.try_write(&Network::new(store).0).expect("writes");
    drop(keeper);
    let (_, store, restored) = open(&directory, now);
    (store, restored)
}

#[tokio::test]
async fn what_lived_again_and_ended_long_ago_does_not_come_back_with_its_life_before() {
    // faults 9
    let directory = directory();
    let (mut keeper, mut store, _) = open(&directory, NOW);
    let site = store.source_seen("s", SourceType::Controller, NOW);
    let (network, publisher) = Network::new(store);
    let mut begins = |start| {
        let mut store = publisher.write();
        report(&mut store, site, &[update(RecordKind::Site, "s", start)], after(start));
        drop(store);
        keeper.try_write(&network).expect("writes");
    };
    begins(1);
    begins(2);
    publisher.write().source_lost(site, after(2), after(3));
    keeper.try_write(&network).expect("writes");
    drop(keeper);
    let (_, store, restored) = open(&directory, after(10));
    assert_eq!(contents(&store).len(), 1, "{:?}", contents(&store));
    assert!(contents(&store)[0].contains("presumed: true"), "{:?}", contents(&store));
    assert_eq!(restored, [], "its source was lost");
    drop(store);
    let (_, store, restored) = open(&directory, after(3600));
    assert_eq!((contents(&store), restored), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn records_come_back_as_they_were() {
    // faults 22
    let expected = contents(&store());
    assert_eq!(expected.len(), 8);
    let (store, restored) = kept(store(), after(31));
    assert_eq!(contents(&store), expected);
    let snapshot = store.snapshot();
    let listener = snapshot.find("a:2").next().and_then(|flow| flow.parent()).expect("a listener");
    assert_eq!(listener.id(), "a:1", "what follows from records follows again");
    assert_eq!(snapshot.services().count(), 1);
    let waited_for: Vec<_> = restored.iter().map(|source| (&*source.id, source.last_heard)).collect();
    assert_eq!(waited_for, [("a:0", NOW)], "the other was gone already");
    assert!(snapshot.sources().all(|source| source.is_alive() == (source.id() == "a:0")));
}

#[tokio::test]
async fn the_retention_of_ended_records_goes_on() {
    let (store, _) = kept(store(), after(901));
    let ids = |store: &Store| -> Vec<_> {
        let mut ids: Vec<_> = store
            .snapshot()
            .records()
            .filter(|record| !record.is_derived())
            .map(|record| record.id().to_string())
            .collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&store), ["a:0", "a:1", "a:2", "a:4", "a:9", "b", "p"], "a:3 ended 901 seconds ago");
    let mut store = store;
    while store.advance(after(932)) {}
    assert_eq!(ids(&store), ["a:0", "a:1", "a:2", "a:4", "a:9", "p"], "b ended 902 seconds ago");
}

#[tokio::test]
async fn what_changed_since_is_all_that_is_written() {
    let directory = directory();
    let (mut keeper, ..) = open(&directory, NOW);
    let (network, publisher) = Network::new(store());
    keeper.try_write(&network).expect("writes");
    let length = keeper.log.as_ref().expect("a log").length();
    keeper.try_write(&network).expect("writes");
    assert_eq!(keeper.log.as_ref().expect("a log").length(), length, "nothing changed");

    let router = publisher.write().source_seen("a:0", SourceType::Router, NOW);
    let more = UpdateBuf::new(RecordKind::BiflowTport, "a:2").with(Attribute::Octets, 9);
    report(&mut publisher.write(), router, &[more], NOW);
    keeper.try_write(&network).expect("writes");
    let added = keeper.log.as_ref().expect("a log").length() - length;
    assert!((50..250).contains(&added), "{added} octets for one record");
    drop(keeper);
    let (_, restored, _) = open(&directory, NOW);
    assert_eq!(contents(&restored), contents(&publisher.write()));
}

#[tokio::test]
async fn more_changes_than_are_remembered_are_written_too() {
    let directory = directory();
    let (mut keeper, ..) = open(&directory, NOW);
    let mut options = StoreOptions::default();
    options.remembered_changes = 8;
    let (network, publisher) = Network::new(Store::new(options));
    keeper.try_write(&network).expect("writes");
    let router = publisher.write().source_seen("a:0", SourceType::Router, NOW);
    let many: Vec<_> = (1..600).map(|id| update(RecordKind::Link, &format!("a:{id}"), id)).collect();
    report(&mut publisher.write(), router, &many, NOW);
    keeper.try_write(&network).expect("writes");
    drop(keeper);
    let (_, restored, _) = open(&directory, NOW);
    assert_eq!(contents(&restored).len(), 599);
    assert_eq!(contents(&restored), contents(&publisher.write()));
}

#[tokio::test]
async fn records_of_one_id_before_and_after_a_restart_stay_two() {
    // faults 6
    let mut store = Store::new(StoreOptions::default());
    let router = store.source_seen("a:0", SourceType::Router, NOW);
    let name = |start, name: &str| update(RecordKind::Link, "a:1", start).with(Attribute::Name, name);
    report(&mut store, router, &[name(1, "old")], NOW);
    store.source_restarted(router, after(5));
    report(&mut store, router, &[name(2, "new")], after(6));
    let expected = contents(&store);
    assert_eq!(expected.len(), 2);
    let (store, _) = kept(store, after(7));
    assert_eq!(contents(&store), expected);
    let snapshot = store.snapshot();
    let now = snapshot.find("a:1").next().expect("it is there");
    assert_eq!(now.text(Attribute::Name).expect("a name").to_string(), "new");
}

#[tokio::test]
async fn a_torn_end_is_cut_off_and_written_behind() {
    // faults 22
    let directory = directory();
    let (mut keeper, ..) = open(&directory, NOW);
    let (network, publisher) = Network::new(store());
    keeper.try_write(&network).expect("writes");
    drop(keeper);
    let path = directory.path().join(LOG);
    let whole = fs::read(&path).expect("reads");
    fs::write(&path, [&whole[..], &whole[16..40]].concat()).expect("writes");

    let (mut keeper, restored, _) = open(&directory, NOW);
    assert_eq!(contents(&restored), contents(&publisher.write()));
    let (network, publisher) = Network::new(restored);
    let router = publisher.write().source_seen("a:0", SourceType::Router, NOW);
    report(&mut publisher.write(), router, &[update(RecordKind::Link, "a:50", 1)], NOW);
    keeper.try_write(&network).expect("writes");
    drop(keeper);
    let (_, again, _) = open(&directory, NOW);
    assert_eq!(contents(&again), contents(&publisher.write()));
    assert!(!directory.path().join("records.vanflow.damaged-1").exists());
}

#[tokio::test]
async fn a_damaged_log_stays_as_it_is_beside_a_new_one_with_all_that_is_not_damaged() {
    // faults 23
    let directory = directory();
    let (mut keeper, ..) = open(&directory, NOW);
    let (network, publisher) = Network::new(store());
    keeper.try_write(&network).expect("writes");
    let good = usize::try_from(keeper.log.as_ref().expect("a log").length()).expect("it is short");
    let router = publisher.write().source_seen("a:0", SourceType::Router, NOW);
    for id in ["a:50", "a:51"] {
        report(&mut publisher.write(), router, &[update(RecordKind::Link, id, 1)], NOW);
        keeper.try_write(&network).expect("writes");
    }
    drop(keeper);
    let all = contents(&publisher.write());
    let expected: Vec<_> = all.iter().filter(|record| !record.contains("a:50")).cloned().collect();
    assert_eq!(expected.len(), all.len() - 1);
    let path = directory.path().join(LOG);
    let mut octets = fs::read(&path).expect("reads");
    octets[good + 30] ^= 0xff;
    fs::write(&path, &octets).expect("writes");

    let (mut keeper, restored, _) = open(&directory, NOW);
    assert_eq!(contents(&restored), expected);
    let aside = directory.path().join("records.vanflow.damaged-1");
    assert_eq!(fs::read(&path).expect("it stays until there is a new one"), octets);
    keeper.try_write(&Network::new(restored).0).expect("writes");
    drop(keeper);
    assert_eq!(fs::read(aside).expect("it was set aside"), octets);
    assert_eq!(contents(&open(&directory, NOW).1), expected, "the new log is whole");
    assert!(!directory.path().join("records.vanflow.damaged-2").exists(), "and not damaged");
}

#[tokio::test]
async fn a_log_of_another_version_is_set_aside_under_a_name_of_its_own() {
    // faults 23
    let directory = directory();
    for (number, octets) in [(1, &b"vanflow-state\n\x02\0and more"[..]), (2, b"something else entirely")] {
        fs::write(directory.path().join(LOG), octets).expect("writes");
        let (_, store, restored) = open(&directory, NOW);
        assert!(contents(&store).is_empty() && restored.is_empty());
        let aside = directory.path().join(format!("records.vanflow.damaged-{number}"));
        assert_eq!(fs::read(aside).expect("it was set aside"), octets);
    }
}

#[tokio::test]
async fn a_full_disk_costs_nothing_that_is_written_once_there_is_room() {
    // faults 23
    let directory = directory();
    let (mut keeper, ..) = open(&directory, NOW);
    let (network, publisher) = Network::new(store());
    symlink("/dev/full", directory.path().join(NEW_LOG)).expect("links");
    let error = keeper.try_write(&network).expect_err("the disk is full");
    assert_eq!(error.to_string(), "No space left on device (os error 28)");
    keeper.write(&network);
    drop(fs::remove_file(directory.path().join(NEW_LOG)));
    keeper.try_write(&network).expect("there is room");

    // The same where a log has been begun.
    let path = directory.path().join(LOG);
    let length = keeper.log.as_ref().expect("a log").length();
    keeper.log = Some(Writer::full(length));
    let router = publisher.write().source_seen("a:0", SourceType::Router, NOW);
    report(&mut publisher.write(), router, &[update(RecordKind::Link, "a:50", 1)], NOW);
    keeper.try_write(&network).expect_err("the disk is full");
    keeper.log = Some(Writer::resume(&path, length).expect("opens"));
    keeper.try_write(&network).expect("there is room");
    drop(keeper);
    assert_eq!(contents(&open(&directory, NOW).1), contents(&publisher.write()));
}

#[tokio::test]
async fn a_log_that_has_grown_long_gives_way_to_a_short_one() {
    let directory = directory();
    let (mut keeper, ..) = open(&directory, NOW);
    keeper.short = 0;
    let (network, publisher) = Network::new(store());
    keeper.try_write(&network).expect("writes");
    let short = keeper.log.as_ref().expect("a log").length();
    let router = publisher.write().source_seen("a:0", SourceType::Router, NOW);
    let mut longest = 0;
    for octets in 10..200_u64 {
        let more = UpdateBuf::new(RecordKind::BiflowTport, "a:2").with(Attribute::Octets, octets);
        report(&mut publisher.write(), router, &[more], NOW);
        keeper.try_write(&network).expect("writes");
        longest = longest.max(keeper.log.as_ref().expect("a log").length());
    }
    assert!((2 * short..3 * short).contains(&longest), "{longest} octets at times, {short} at first");
    drop(keeper);
    let (keeper, restored, _) = open(&directory, NOW);
    assert_eq!(contents(&restored), contents(&publisher.write()));
    assert!(keeper.needed <= 2 * short, "{} octets are thought to be needed", keeper.needed);
}

#[test]
fn two_collectors_do_not_keep_records_in_one_directory() {
    let directory = directory();
    let (_keeper, ..) = open(&directory, NOW);
    let error = Keeper::open(
        directory.path(),
        &mut Store::new(StoreOptions::default()),
        (RETENTION, &Progress::default()),
        NOW,
    )
    .map(drop)
    .expect_err("it is in use");
    assert_eq!(
        error.to_string(),
        format!("cannot keep records in {}: another collector does", directory.path().display())
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = Keeper::open(
        file.path(),
        &mut Store::new(StoreOptions::default()),
        (RETENTION, &Progress::default()),
        NOW,
    )
    .map(drop)
    .expect_err("it is no directory");
    assert!(error.to_string().starts_with(&format!("cannot keep records in {}: ", file.path().display())));
}
