//! Which contexts are roots. The host says so when it makes one, and by the number alone
//! afterwards.

use std::cell::RefCell;

use crate::RootId;

thread_local! {
    /// One, and two or three while configurations are replaced.
    static ROOTS: RefCell<Vec<RootId>> = const { RefCell::new(Vec::new()) };
}

/// A root was made.
pub(crate) fn add(root: RootId) {
    ROOTS.with_borrow_mut(|roots| roots.push(root));
}

/// The context as a root, if it is one.
pub(crate) fn find(context: u32) -> Option<RootId> {
    ROOTS.with_borrow(|roots| roots.iter().copied().find(|root| root.0 == context))
}

/// A root is gone.
pub(crate) fn remove(gone: RootId) {
    ROOTS.with_borrow_mut(|roots| roots.retain(|root| *root != gone));
}
