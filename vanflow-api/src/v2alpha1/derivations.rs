//! What follows from the records, worked out once for all who ask.

use std::sync::{Arc, Mutex, PoisonError};

use vanflow_store::{Revision, Snapshot};

use crate::v2alpha1::{
    memo::Memo,
    view::{Derived, Needs},
};

/// What was derived from the latest snapshot that anybody asked about, for all requests and watches of one network.
///
/// Cloning is cheap, and all clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Derivations(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// The revision of the snapshot, and how many records had left by then: snapshots with the same hold the same.
    version: (Revision, u64),
    derived: Vec<(Needs, Arc<Derived>)>,
    memo: Memo,
}

impl Derivations {
    /// What follows from a snapshot, as far as it is needed. Whoever asks while another works it out waits for that.
    pub(crate) fn of(&self, snapshot: &Snapshot, needs: Needs) -> Arc<Derived> {
        if needs == Needs::default() {
            return Arc::new(Derived::new(snapshot, needs));
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { version, derived, memo } = &mut *kept;
        let asked = (snapshot.revision(), snapshot.evicted());
        if asked < *version {
            // Others are ahead, and will not come back to this one.
            drop(kept);
            return Arc::new(Derived::new(snapshot, needs));
        }
        if asked > *version {
            *version = asked;
            derived.clear();
        }
        if let Some((_, known)) = derived.iter().find(|(known, _)| *known == needs) {
            return Arc::clone(known);
        }
        let new = Arc::new(Derived::with(snapshot, needs, memo));
        derived.push((needs, Arc::clone(&new)));
        new
    }
}
