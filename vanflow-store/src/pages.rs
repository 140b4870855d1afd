//! Vectors that readers can hold on to.
//!
//! Items stand in pages, and pages in folders, both shared by counted references. A clone costs as much as there are
//! folders, and goes on seeing what was there; the writer copies a page before it changes it if somebody else still
//! holds it. A persistent vector from a library does the same with a tree of varying depth; its updates took four
//! times the instructions, on the hottest path there is.

use std::sync::Arc;

use crate::shared::to_change;

/// Items to a page.
const PAGE: usize = 64;
/// Pages to a folder.
const FOLDER: usize = 64;

type Page<T> = Arc<[T; PAGE]>;
type Folder<T> = Arc<Vec<Page<T>>>;

/// A vector of which clones are cheap.
#[derive(Clone, Debug)]
pub(crate) struct Pages<T> {
    folders: Vec<Folder<T>>,
    len: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { folders: Vec::new(), len: 0 }
    }
}

impl<T> Pages<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn get(&self, position: usize) -> Option<&T> {
        if position >= self.len {
            return None;
        }
        Some(&self.folders[position / (PAGE * FOLDER)][position / PAGE % FOLDER][position % PAGE])
    }
}

impl<T: Clone> Pages<T> {
    /// The item at that position, to be changed.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[inline]
    pub(crate) fn get_mut(&mut self, position: usize) -> &mut T {
        assert!(position < self.len, "there is no item {position}");
        let folder = to_change(&mut self.folders[position / (PAGE * FOLDER)]);
        let page = to_change(&mut folder[position / PAGE % FOLDER]);
        &mut page[position % PAGE]
    }

    /// Appends an item. The rest of a new page is filled with copies of it until others come.
    pub(crate) fn push(&mut self, item: T) {
        let position = self.len;
        if position.is_multiple_of(PAGE) {
            if position.is_multiple_of(PAGE * FOLDER) {
                self.folders.push(Arc::default());
            }
            let folder = self.folders.last_mut().expect("there is one by now");
            let page: Arc<[T]> = std::iter::repeat_n(item, PAGE).collect();
            let Ok(page) = page.try_into() else { unreachable!("it has as many items as a page") };
            to_change(folder).push(page);
            self.len += 1;
        } else {
            self.len += 1;
            *self.get_mut(position) = item;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_goes_on_seeing_what_was_there() {
        let mut pages = Pages::default();
        let many = PAGE * FOLDER * 2 + PAGE + 1;
        for number in 0..many {
            pages.push(number);
        }
        let before = pages.clone();
        for position in (0..many).step_by(97) {
            *pages.get_mut(position) += many;
        }
        pages.push(many);
        assert!((0..many).all(|position| before.get(position) == Some(&position)));
        assert_eq!((before.len(), before.get(many)), (many, None));
        assert_eq!((pages.len(), pages.get(many)), (many + 1, Some(&many)));
        assert!((0..many).all(|position| {
            let expected = if position.is_multiple_of(97) { position + many } else { position };
            pages.get(position) == Some(&expected)
        }));
    }
}
