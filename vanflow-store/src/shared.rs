//! What readers may hold while the writer changes it.

use std::sync::Arc;

/// As [`Arc::make_mut`], with the copy kept out of the way: where nobody else holds it, which is
/// nearly always, it takes half the instructions.
#[inline]
pub(crate) fn to_change<T: Clone>(shared: &mut Arc<T>) -> &mut T {
    #[cold]
    #[inline(never)]
    fn copy<T: Clone>(shared: &mut Arc<T>) {
        *shared = Arc::new(T::clone(shared));
    }
    // Nobody else can come to hold it meanwhile: whoever does has it from here.
    if Arc::strong_count(shared) != 1 {
        copy(shared);
    }
    Arc::get_mut(shared).expect("nobody else holds it, and nothing holds it weakly")
}
