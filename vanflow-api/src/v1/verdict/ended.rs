//! What has ended and is kept on disk.

use vanflow_history::rows::Held;

use crate::v1::table::{Cell, table};

table! {
    /// What has ended and is kept on disk, of one kind.
    ENDED: (&'static str, Held), "Ended" |ended| {
        "kind" OneOf(&["connections", "requests", "events"]) Always "What it is." => Cell::text(ended.0);
        "rows" Count Always "How many there are." => Cell::Count(ended.1.rows);
        "elsewhere" Count Optional "How many there are in the bucket, the same ones among them; absent where there are none." =>
            Cell::count((ended.1.elsewhere > 0).then_some(ended.1.elsewhere));
        "octets" Count Always "How much they take on disk." => Cell::Count(ended.1.octets);
        "since" Instant Optional "When the earliest of them ended; absent where there are none." => Cell::count(ended.1.since);
    }
}
