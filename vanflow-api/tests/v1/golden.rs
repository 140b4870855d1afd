//! Every resource over the captures, in virtual time.

use super::{RESOURCES, ask};
use crate::support::{CAPTURES, Fixture, replay};

#[test]
fn every_resource_in_the_midst_of_the_traffic_and_when_it_is_over() {
    for capture in CAPTURES {
        for (name, until) in [("midst", 20_000_000), ("over", u64::MAX)] {
            let fixture = Fixture::new(replay(capture, until));
            fixture.publisher.update_status(|status| {
                (status.attached, status.flushed) = (true, true);
                status.detail = "attached to the capture".to_owned();
            });
            for resource in RESOURCES {
                let answer = ask(&fixture, resource);
                insta::assert_json_snapshot!(format!("v1-{resource}-{capture}-{name}"), answer);
            }
        }
    }
}
